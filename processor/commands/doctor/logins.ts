/**
 * What doctor says about logins and their certificates.
 * @module
 */
import { X509Certificate } from "node:crypto";
import type { Settings } from "../../config/config.ts";
import type { DatabaseAddress } from "../../config/database_url.ts";
import { DAY_MS } from "../../views/view.ts";
import { advice, bad, type Finding, good } from "./finding.ts";

type KafkaLogin = Settings<"KAFKA_SASL_MECHANISM" | "KAFKA_SASL_USERNAME" | "KAFKA_TLS_CERT">;

/** A certificate should be renewed when fewer days are left. */
export const RENEW_DAYS = 14;

/** As whom Kafka knows the service, and what to do if it does not. */
export function kafkaLogin(settings: KafkaLogin): { readonly as: string; readonly todo: string } {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: user, KAFKA_TLS_CERT: certificate } = settings;
  switch (mechanism) {
    case null:
      return {
        as: certificate === null
          ? "anonymous: no KAFKA_SASL_MECHANISM is set"
          : `by the certificate ${certificate.file}`,
        todo: "check whether the listener requires TLS or a login, and set KAFKA_TLS_CA, KAFKA_TLS_CERT or " +
          "KAFKA_SASL_MECHANISM",
      };
    case "OAUTHBEARER":
      return {
        as: "with a token of KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL",
        todo: "check KAFKA_SASL_OAUTHBEARER_*, and which issuer, audience and scope the brokers expect",
      };
    case "AWS_MSK_IAM":
      return {
        as: "with AWS credentials",
        todo:
          "check that KAFKA_BROKERS names the ports for IAM (9098, or 9198 from outside), AWS_REGION, and that the " +
          "role may kafka-cluster:Connect",
      };
    default:
      return {
        as: `as ${user} with ${mechanism}`,
        todo: "check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and the user on the brokers",
      };
  }
}

/** Whether our own certificate is valid, and for long enough; `setting` names its file. */
export function ownCertificate(check: string, pem: string, setting: string): Finding {
  const { subject, validFrom, validTo } = new X509Certificate(pem);
  const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
  const found = `${subject.replaceAll("\n", ", ")}, valid until ${new Date(toMs).toISOString().slice(0, 19)}`;
  if (Date.now() < fromMs) return bad(check, `not valid yet: ${found}`, "correct this machine's clock");
  if (Date.now() >= toMs) return bad(check, `expired: ${found}`, `renew it, and restart the service: ${setting}`);
  const daysLeft = Math.floor((toMs - Date.now()) / DAY_MS);
  if (daysLeft >= RENEW_DAYS) return good(check, found);
  return advice(check, `expires in ${daysLeft} days: ${found}`, `renew it, and restart the service: ${setting}`);
}

/** Whether the service finds the server that accepts writes, if there are several. */
export function choiceOfHost({ hosts, wants }: DatabaseAddress): Finding[] {
  if (hosts.length < 2 || wants !== "any") return [];
  const todo = "add target_session_attrs=read-write to DATABASE_URL";
  return [advice("postgres hosts", "the first host that answers is used, even if it is a standby", todo)];
}

/** What to do about a login that PostgreSQL refuses. */
export function loginCure(message: string): string {
  if (/does not exist/.test(message) && /database/.test(message)) return "create the database, or correct DATABASE_URL";
  if (/too many/.test(message)) return "raise max_connections, or close other connections";
  if (/AWS credentials/.test(message)) return "see that this process has a role";
  if (/PAM authentication/.test(message)) {
    return "grant rds_iam to the user, allow the role rds-db:connect for it, and use the instance's own host name";
  }
  if (/client certificate|certificate authentication/.test(message)) {
    return "check sslcert and sslkey in DATABASE_URL, and that the certificate's name is the user's";
  }
  if (/pg_hba/.test(message)) {
    return "add a line for this user and machine to pg_hba.conf, or use TLS (DATABASE_TLS_CA)";
  }
  if (/starting up|shutting down/.test(message)) return "wait until the server has started";
  return "check user and password in DATABASE_URL (percent-encode special characters), and that the user may log in";
}
