/**
 * Settings of a command.
 * @module
 */
import { readSettings, type SettingName, type Settings } from "../../config/config.ts";
import { assertLoginsProtected } from "../../config/plaintext.ts";

/**
 * Reads the settings of a command that connects with them.
 *
 * @throws {WrongSettings} naming every invalid setting, or each that would send a login unprotected to a public address
 */
export async function settingsFor<N extends SettingName | "ALLOW_PLAINTEXT">(
  names: readonly N[],
): Promise<Settings<N>> {
  const settings = readSettings(names);
  const { ALLOW_PLAINTEXT: isAllowed } = settings as Partial<Settings>;
  if (isAllowed !== true) await assertLoginsProtected(settings);
  return settings;
}
