/** What counts as a name, in one place: pure tests on text. */

/** True for one label of a host name in lower case (RFC 1123, section 2.1): 1-63 of a-z, 0-9 and inner hyphens. */
export function isDnsLabel(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text);
}

/**
 * True for a host name in lower case without a final dot: labels, 253 characters at most (RFC 1035, section 2.3.4).
 *
 * The last label needs a letter: a name that ends in a number is read as an IPv4 address by many programs.
 */
export function isDnsName(text: string): boolean {
  if (text.length > 253) return false;
  const labels = text.split(".");
  return labels.every(isDnsLabel) && /[a-z]/.test(labels.at(-1) ?? "");
}

/** True for text that a terminal and a JSON document show as it is: not empty, nothing that breaks or turns a line. */
export function isHumanText(text: string): boolean {
  return (
    text.length <= 100 && /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]+$/u.test(text) && text.trim() === text
  );
}

/** True for a URL of HTTPS that holds no secret and points at no part of a page. */
export function isSecureUrl(text: string): boolean {
  if (!/^https:\/\/[^\s"'\\<>^`{|}]+$/.test(text) || !URL.canParse(text)) return false;
  const { username, password, hash } = new URL(text);
  return username === "" && password === "" && hash === "" && !text.includes("#");
}

/** True for a derpMap's CertName that is a certificate's SHA-256. */
export function isPin(text: string): boolean {
  return /^sha256-raw:[0-9a-f]{64}$/.test(text);
}

/** True for a day that the calendar has, as 2026-12-31. */
export function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

/** True for a client's public key as Tailscale writes it. */
export function isNodeKey(text: string): boolean {
  return /^nodekey:[0-9a-f]{64}$/.test(text);
}

/** True for the name of a secret: it becomes a key of the configuration. */
export function isSecretName(text: string): boolean {
  return /^[a-z][A-Za-z0-9]{0,39}$/.test(text);
}

/** True for a zone's own name and every name below it. */
export function isInZone(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}
