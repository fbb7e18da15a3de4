import static org.apache.spark.sql.functions.approx_count_distinct;
import static org.apache.spark.sql.functions.array;
import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.explode;
import static org.apache.spark.sql.functions.expr;
import static org.apache.spark.sql.functions.from_json;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.struct;
import static org.apache.spark.sql.functions.substring_index;
import static org.apache.spark.sql.functions.sum;
import static org.apache.spark.sql.functions.when;
import static org.apache.spark.sql.functions.window;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import org.apache.spark.api.java.function.VoidFunction2;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Windows of clicks, by Spark into PostgreSQL. Arguments: brokers, topic, JDBC URL, folder for its checkpoints. */
class Job {
  private static final String SCHEMA = "userId string, eventType string, timestamp timestamp, page string,"
      + " device string, region string, price decimal(18, 2), quantity bigint";

  public static void main(String[] args) throws Exception {
    SparkSession spark = SparkSession.builder()
        .master("local[*]")
        .config("spark.ui.enabled", false)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", Runtime.getRuntime().availableProcessors())
        .getOrCreate();
    spark.sparkContext().setLogLevel("WARN");
    Column type = col("click.eventType");
    Column path = substring_index(substring_index(col("click.page"), "?", 1), "#", 1);
    Column cents = col("click.price").multiply(100).cast("bigint").multiply(coalesce(col("click.quantity"), lit(1)));
    // Of an event, a row for each window that it counts in, so that one query reads and parses the topic for all; with
    // a query for each table, it takes twice as long. Windows of five minutes go by the minute that they begin in.
    Column windows = array(
        in("traffic", 0, type, col("click.device"), col("click.region")),
        when(type.equalTo("page_view"), in("pages", 0, path)),
        in("active_users", 0), in("active_users", 1), in("active_users", 2), in("active_users", 3),
        in("active_users", 4));
    spark.readStream().format("kafka")
        .option("kafka.bootstrap.servers", args[0])
        .option("subscribe", args[1])
        .option("startingOffsets", "earliest")
        // Each batch is planned, written and checkpointed: the larger the better, but nothing is seen before its end.
        .option("maxOffsetsPerTrigger", 250_000)
        .load()
        .select(from_json(col("value").cast("string"), SCHEMA, Map.of()).as("click"))
        .select(col("click.userId").as("user"), explode(windows).as("row"),
            coalesce(when(type.equalTo("purchase"), cents), lit(0L)).as("cents"))
        .where("row is not null")
        .select("user", "cents", "row.*")
        .withWatermark("time", "6 minutes")
        .groupBy(window(col("time"), "1 minute"), col("table"), col("keys"))
        .agg(approx_count_distinct("user"), count("*"), sum("cents"))
        .writeStream()
        .outputMode("update")
        .option("checkpointLocation", args[3] + "/checkpoints")
        .foreachBatch((VoidFunction2<Dataset<Row>, Long>) (batch, id) -> write(args[2], batch.collectAsList()))
        .start()
        .awaitTermination();
  }

  private static Column in(String table, int minutesBefore, Column... keys) {
    Column time = col("click.timestamp").minus(expr("interval " + minutesBefore + " minutes"));
    return struct(lit(table).as("table"), time.as("time"), array(keys).cast("array<string>").as("keys"));
  }

  /** What to do with a row: its parameters are the window, the keys, and as many of users, events and cents. */
  private record Upsert(String sql, int numbers) {}

  private static final Map<String, Upsert> UPSERTS = Map.of(
      "traffic", new Upsert("""
          insert into traffic (window_start, event_type, device, region, users, events, revenue_cents)
          values (?, ?, ?, ?, ?, ?, ?) on conflict (window_start, event_type, device, region) do update
          set users = excluded.users, events = excluded.events, revenue_cents = excluded.revenue_cents""", 3),
      "pages", new Upsert("""
          insert into pages (window_start, page, users, views) values (?, ?, ?, ?)
          on conflict (window_start, page) do update set users = excluded.users, views = excluded.views""", 2),
      "active_users", new Upsert("""
          insert into active_users (window_start, users) values (?, ?)
          on conflict (window_start) do update set users = excluded.users""", 1));

  /** Writes a batch's rows, which are few, whatever their events were, in one transaction. */
  private static void write(String url, List<Row> batch) throws SQLException {
    try (Connection db = DriverManager.getConnection(url)) {
      db.setAutoCommit(false);
      for (var upsert : UPSERTS.entrySet()) {
        try (PreparedStatement rows = db.prepareStatement(upsert.getValue().sql())) {
          for (Row row : batch) {
            if (!row.getString(1).equals(upsert.getKey())) continue;
            int at = 1;
            rows.setTimestamp(at++, row.getStruct(0).getTimestamp(0));
            for (String key : row.<String>getList(2)) rows.setString(at++, key);
            for (int i = 0; i < upsert.getValue().numbers(); i++) rows.setLong(at++, row.getLong(3 + i));
            rows.addBatch();
          }
          rows.executeBatch();
        }
      }
      db.commit();
    }
  }
}
