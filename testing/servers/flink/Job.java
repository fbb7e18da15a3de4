import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** Runs a printed job to its end in this process, as sql-client would; with "explain" it only plans the job. */
class Job {
  private static final String SET = "EXECUTE STATEMENT SET";

  public static void main(String[] args) throws Exception {
    String text = Files.readString(Path.of(args[0])).replaceAll("(?m)^\\s*--.*\n", "");
    TableEnvironment flink = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
    int inserts = text.indexOf(SET);
    for (String statement : text.substring(0, inserts).split(";\\s*\n")) {
      Matcher setting = Pattern.compile("\\s*SET '(.*)' = '(.*)'").matcher(statement);
      if (setting.matches()) flink.getConfig().set(setting.group(1), setting.group(2));
      else if (!statement.isBlank()) flink.executeSql(statement);
    }
    String set = text.substring(inserts).strip();
    if (args.length > 1) flink.executeSql(set.replaceFirst(SET, "EXPLAIN STATEMENT SET")).print();
    else flink.executeSql(set).await();
  }
}
