import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler;

/**
 * Accepts tokens that are signed requests to AWS, as MSK does: it sends the request and takes the answer for the name
 * of the caller. Other tokens are judged as JSON Web Tokens.
 */
public class SignedRequestValidator implements AuthenticateCallbackHandler {
  private final OAuthBearerValidatorCallbackHandler others = new OAuthBearerValidatorCallbackHandler();

  @Override
  public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {
    others.configure(configs, mechanism, entries);
  }

  @Override
  public void handle(Callback[] callbacks) throws java.io.IOException, javax.security.auth.callback.UnsupportedCallbackException {
    for (Callback callback : callbacks) {
      if (!(callback instanceof OAuthBearerValidatorCallback validator) || validator.tokenValue().contains(".")) {
        others.handle(new Callback[] {callback});
        continue;
      }
      String text = new String(Base64.getUrlDecoder().decode(validator.tokenValue()), StandardCharsets.UTF_8);
      URI signed = URI.create(text);
      URI sent = URI.create(System.getProperty("signed.requests") + "?" + signed.getRawQuery());
      HttpURLConnection connection = (HttpURLConnection) sent.toURL().openConnection();
      connection.setRequestProperty("x-signed-host", signed.getHost());
      if (connection.getResponseCode() != 200) {
        validator.error("invalid_token", null, null);
        continue;
      }
      String caller = new String(connection.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      validator.token(new Validated(validator.tokenValue(), caller, System.currentTimeMillis() + 900_000));
    }
  }

  @Override
  public void close() {
    others.close();
  }

  private record Validated(String value, String principalName, long lifetimeMs) implements OAuthBearerToken {
    @Override
    public Set<String> scope() {
      return Set.of();
    }

    @Override
    public Long startTimeMs() {
      return null;
    }
  }
}
