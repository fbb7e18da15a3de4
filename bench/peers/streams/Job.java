import static org.apache.datasketches.hll.TgtHllType.HLL_8;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.function.Function;
import org.apache.datasketches.hll.HllSketch;
import org.apache.datasketches.hll.Union;
import org.apache.datasketches.memory.Memory;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers;

/** Windows of clicks, by Kafka Streams into PostgreSQL. Arguments: brokers, topic, JDBC URL, folder for its state. */
class Job {
  public static void main(String[] args) {
    String url = args[2];
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, Click> clicks = builder.stream(args[1], Consumed
        .with(Serdes.String(), serde(click -> new byte[0], Click::of))
        .withTimestampExtractor((record, latest) -> ((Click) record.value()).timeMs()));
    // What goes through Kafka again, to be together by key, is no more than what is added up.
    KStream<Windowed<String>, Tally> traffic = tallied(clicks
        .map((key, click) -> KeyValue.pair(click.group(), click.visit())), "traffic");
    KStream<Windowed<String>, Tally> pages = tallied(clicks
        .filter((key, click) -> click.eventType().equals("page_view"))
        .map((key, click) -> KeyValue.pair(click.path(), click.visit())), "pages");
    // Users of five minutes are those of its minutes: a few sketches united, and not every event added five times.
    KStream<Windowed<String>, Tally> activeUsers = traffic
        .groupBy((group, minute) -> "all", Grouped.with("active", Serdes.String(), TALLIES))
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(5), GRACE).advanceBy(Duration.ofMinutes(1)))
        .aggregate(Tally::new, (key, minute, tally) -> tally.unite(minute), Materialized.with(Serdes.String(), TALLIES))
        .toStream();

    traffic.process(() -> new Upserts(url, """
        insert into traffic values (?, ?, ?, ?, ?, ?, ?) on conflict (window_start, event_type, device, region)
        do update set events = excluded.events, users = excluded.users, revenue_cents = excluded.revenue_cents""",
        (row, key, tally) -> {
          String[] group = key.split("\t");
          for (int i = 0; i < group.length; i++) row.setString(2 + i, group[i]);
          row.setLong(5, tally.events);
          row.setLong(6, tally.distinct());
          row.setLong(7, tally.cents);
        }));
    pages.process(() -> new Upserts(url, """
        insert into pages values (?, ?, ?, ?) on conflict (window_start, page)
        do update set views = excluded.views, users = excluded.users""",
        (row, key, tally) -> {
          row.setString(2, key);
          row.setLong(3, tally.events);
          row.setLong(4, tally.distinct());
        }));
    activeUsers.process(() -> new Upserts(url, """
        insert into active_users values (?, ?) on conflict (window_start) do update set users = excluded.users""",
        (row, key, tally) -> row.setLong(2, tally.distinct())));

    KafkaStreams streams = new KafkaStreams(builder.build(), settings(args[0], args[3]));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      Runtime.getRuntime().halt(1);
      return null;
    });
    streams.start();
  }

  private static Properties settings(String brokers, String folder) {
    Properties settings = new Properties();
    settings.putAll(Map.of(
        "application.id", Path.of(folder).getFileName().toString(),
        "bootstrap.servers", brokers,
        "state.dir", folder,
        "num.stream.threads", "2",
        "processing.guarantee", "exactly_once_v2",
        "commit.interval.ms", "1000",
        // Room for all that changes between two commits, so that a row goes on once in each.
        "statestore.cache.max.bytes", "268435456",
        "dsl.store.suppliers.class", InMemoryDslStoreSuppliers.class.getName(),
        "producer.batch.size", "262144"));
    return settings;
  }

  private static final Serde<Tally> TALLIES = serde(Tally::bytes, Tally::of);

  /** Threads come through their partitions at different speeds. */
  private static final Duration GRACE = Duration.ofHours(1);

  private static KStream<Windowed<String>, Tally> tallied(KStream<String, Visit> visits, String name) {
    return visits
        .groupByKey(Grouped.with(name, Serdes.String(), serde(Visit::bytes, Visit::of)))
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), GRACE))
        .aggregate(Tally::new, (key, visit, tally) -> tally.add(visit), Materialized.with(Serdes.String(), TALLIES))
        .toStream();
  }

  private static <T> Serde<T> serde(Function<T, byte[]> bytes, Function<byte[], T> of) {
    return Serdes.serdeFrom(
        (topic, value) -> value == null ? null : bytes.apply(value),
        (topic, data) -> data == null ? null : of.apply(data));
  }
}

/** A message, as far as it is asked for. */
record Click(String userId, String eventType, String timestamp, String page, String device, String region,
    BigDecimal price, int quantity) {
  private static final ObjectReader JSON = new ObjectMapper()
      .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES).readerFor(Click.class);

  static Click of(byte[] data) {
    try {
      return JSON.readValue(data);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  long timeMs() {
    return Instant.parse(timestamp).toEpochMilli();
  }

  String group() {
    return eventType + "\t" + device + "\t" + region;
  }

  String path() {
    for (int i = 0; i < page.length(); i++) {
      if (page.charAt(i) == '?' || page.charAt(i) == '#') return page.substring(0, i);
    }
    return page;
  }

  Visit visit() {
    boolean buys = eventType.equals("purchase") && price != null;
    return new Visit(userId, buys
        ? price.movePointRight(2).setScale(0, RoundingMode.HALF_UP).longValue() * Math.max(quantity, 1) : 0);
  }
}

/** What an event adds to a window. */
record Visit(String user, long cents) {
  byte[] bytes() {
    byte[] name = user.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + name.length).putLong(cents).put(name).array();
  }

  static Visit of(byte[] data) {
    return new Visit(new String(data, 8, data.length - 8, StandardCharsets.UTF_8), ByteBuffer.wrap(data).getLong());
  }
}

/** What a window comes to. */
class Tally {
  /** A standard error of 1.3 %. */
  private static final int LOG_REGISTERS = 12;

  long events;
  long cents;
  private HllSketch users = new HllSketch(LOG_REGISTERS, HLL_8);

  Tally add(Visit visit) {
    events++;
    cents += visit.cents();
    users.update(visit.user());
    return this;
  }

  Tally unite(Tally other) {
    Union union = new Union(LOG_REGISTERS);
    union.update(users);
    union.update(other.users);
    users = union.getResult(HLL_8);
    return this;
  }

  long distinct() {
    return Math.round(users.getEstimate());
  }

  byte[] bytes() {
    byte[] sketch = users.toCompactByteArray();
    return ByteBuffer.allocate(16 + sketch.length).putLong(events).putLong(cents).put(sketch).array();
  }

  static Tally of(byte[] data) {
    Tally tally = new Tally();
    ByteBuffer numbers = ByteBuffer.wrap(data);
    tally.events = numbers.getLong();
    tally.cents = numbers.getLong();
    tally.users = HllSketch.heapify(Memory.wrap(data, 16, data.length - 16, ByteOrder.nativeOrder()));
    return tally;
  }
}

/**
 * Writes the latest of each row, a second's in one transaction. Kafka's transactions don't wait for it: rows that a crash
 * loses are written when they change again.
 */
class Upserts implements Processor<Windowed<String>, Tally, Void, Void> {
  /** Puts a row's columns after the first, which is where its window begins. */
  interface Row {
    void put(PreparedStatement row, String key, Tally tally) throws SQLException;
  }

  private final String url;
  private final String sql;
  private final Row columns;
  private final Map<Windowed<String>, Tally> waiting = new HashMap<>();
  private Connection db;

  Upserts(String url, String sql, Row columns) {
    this.url = url;
    this.sql = sql;
    this.columns = columns;
  }

  @Override
  public void init(ProcessorContext<Void, Void> context) {
    try {
      db = DriverManager.getConnection(url);
      db.setAutoCommit(false);
    } catch (SQLException error) {
      throw new IllegalStateException(error);
    }
    context.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, now -> write());
  }

  @Override
  public void process(Record<Windowed<String>, Tally> record) {
    waiting.put(record.key(), record.value());
  }

  private void write() {
    if (waiting.isEmpty()) return;
    try (PreparedStatement rows = db.prepareStatement(sql)) {
      for (var entry : waiting.entrySet()) {
        rows.setObject(1, entry.getKey().window().startTime().atOffset(ZoneOffset.UTC));
        columns.put(rows, entry.getKey().key(), entry.getValue());
        rows.addBatch();
      }
      rows.executeBatch();
      db.commit();
    } catch (SQLException error) {
      throw new IllegalStateException(error);
    }
    waiting.clear();
  }

  @Override
  public void close() {
    write();
    try {
      db.close();
    } catch (SQLException error) {
      throw new IllegalStateException(error);
    }
  }
}
