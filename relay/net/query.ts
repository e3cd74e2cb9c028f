/** The query of a request's target, as Go reads it. */

/**
 * The first value of a parameter. As with Go, a pair that holds a semicolon or a malformed escape is passed over, where
 * URLSearchParams would take it as it is.
 *
 * @param target path and query, as in the request line
 * @returns undefined without such a parameter
 */
export function queryValue(target: string, name: string): string | undefined {
  const [path = ""] = target.split("?", 1);
  const pairs = target.slice(path.length + 1).split("&");
  const sound = pairs.filter((pair) => !/;|%(?![0-9a-f]{2})/i.test(pair));
  // The constructor takes one question mark away.
  return new URLSearchParams(`?${sound.join("&")}`).get(name) ?? undefined;
}
