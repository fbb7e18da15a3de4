import static org.apache.spark.sql.functions.approx_count_distinct;
import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.from_json;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.substring_index;
import static org.apache.spark.sql.functions.sum;
import static org.apache.spark.sql.functions.when;
import static org.apache.spark.sql.functions.window;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import org.apache.spark.api.java.function.VoidFunction2;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.StructType;

/** Windows of clicks, by Spark into PostgreSQL. Arguments: brokers, topic, JDBC URL, folder for its checkpoints. */
class Job {
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
    StructType schema = StructType.fromDDL("userId string, eventType string, timestamp timestamp, page string,"
        + " device string, region string, price decimal(18, 2), quantity bigint");
    Dataset<Row> clicks = spark.readStream().format("kafka")
        .option("kafka.bootstrap.servers", args[0])
        .option("subscribe", args[1])
        .option("startingOffsets", "earliest")
        // Few batches, since each is planned, checkpointed and written; a second of the topic's events is far less.
        .option("maxOffsetsPerTrigger", 250_000)
        .load()
        .select(from_json(col("value").cast("string"), schema).as("click"))
        .select("click.*")
        .withWatermark("timestamp", "1 minute");
    Column users = approx_count_distinct("userId").as("users");
    Column cents = col("price").multiply(100).cast("bigint").multiply(coalesce(col("quantity"), lit(1)));

    write(args, "traffic", clicks
        .groupBy(window(col("timestamp"), "1 minute"), col("eventType"), col("device"), col("region"))
        .agg(count("*"), users, coalesce(sum(when(col("eventType").equalTo("purchase"), cents)), lit(0L))), """
        insert into traffic values (?, ?, ?, ?, ?, ?, ?) on conflict (window_start, event_type, device, region)
        do update set events = excluded.events, users = excluded.users, revenue_cents = excluded.revenue_cents""");
    Column path = substring_index(substring_index(col("page"), "?", 1), "#", 1);
    write(args, "pages", clicks
        .where(col("eventType").equalTo("page_view"))
        .groupBy(window(col("timestamp"), "1 minute"), path)
        .agg(count("*"), users), """
        insert into pages values (?, ?, ?, ?) on conflict (window_start, page)
        do update set views = excluded.views, users = excluded.users""");
    write(args, "active_users", clicks
        .groupBy(window(col("timestamp"), "5 minutes", "1 minute"))
        .agg(users), """
        insert into active_users values (?, ?) on conflict (window_start) do update set users = excluded.users""");
    spark.streams().awaitAnyTermination();
  }

  /** Starts a query that writes what has changed, whose first column is the window, after each of its batches. */
  private static void write(String[] args, String name, Dataset<Row> rows, String sql) throws Exception {
    rows.writeStream()
        .outputMode("update")
        .option("checkpointLocation", args[3] + "/" + name)
        .foreachBatch((VoidFunction2<Dataset<Row>, Long>) (batch, id) -> upsert(args[2], batch, sql))
        .start();
  }

  /** A batch's rows are few, whatever their events were: this process writes them, in one transaction. */
  private static void upsert(String url, Dataset<Row> batch, String sql) {
    try (Connection db = DriverManager.getConnection(url); PreparedStatement rows = db.prepareStatement(sql)) {
      db.setAutoCommit(false);
      for (Row row : batch.collectAsList()) {
        rows.setTimestamp(1, row.getStruct(0).getTimestamp(0));
        for (int i = 1; i < row.length(); i++) rows.setObject(1 + i, row.get(i));
        rows.addBatch();
      }
      rows.executeBatch();
      db.commit();
    } catch (SQLException error) {
      throw new IllegalStateException(error);
    }
  }
}
