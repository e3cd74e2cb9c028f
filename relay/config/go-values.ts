/** Values as Go's package `flag` reads them. Each function gives undefined for a text that is no such value. */

const digits = String.raw`\d(?:_?\d)*`;
const decimal = new RegExp(
  String.raw`^[+-]?(?:${digits}(?:\.(?:${digits})?)?|\.${digits})(?:[eE][+-]?${digits})?$`,
);
const integers = [
  /^0[xX](?:_?[0-9a-fA-F])+$/,
  /^0[bB](?:_?[01])+$/,
  /^0[oO]?(?:_?[0-7])+$/,
  /^(?:0|[1-9](?:_?\d)*)$/,
];
const maxInt = 2n ** 63n - 1n;

/** strconv.ParseBool. */
export function parseGoBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

/**
 * strconv.ParseInt with base 0: also `0x1bb`, `0b11`, `0o17`, `017` and `1_000`. Beyond 2^53 the number is the nearest
 * that JavaScript has.
 */
export function parseGoInt(text: string): number | undefined {
  const [, sign = "", number = ""] = /^([+-]?)(.*)$/.exec(text) ?? [];
  if (!integers.some((form) => form.test(number))) return undefined;
  const plain = number.replaceAll("_", "").replace(/^0(?=\d)/, "0o");
  const value = BigInt(plain) * (sign === "-" ? -1n : 1n);
  return value > maxInt || value < -maxInt - 1n ? undefined : Number(value);
}

/** strconv.ParseFloat, but for the hexadecimal form and for NaN, which limits nothing and means nothing. */
export function parseGoFloat(text: string): number | undefined {
  const [, sign, infinite] = /^([+-]?)(inf|infinity)$/i.exec(text) ?? [];
  if (infinite !== undefined) return sign === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (!decimal.test(text)) return undefined;
  const value = Number(text.replaceAll("_", ""));
  return Number.isFinite(value) ? value : undefined;
}
