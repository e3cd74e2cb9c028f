/** `/debug/check`: whether what the relay remembers of its clients is what a fresh count finds. */

export interface ConsistencyFacts {
  /** The gauge `derp_current_connections`. */
  readonly connections: number;
  /** Connections in the router's table, counted now; each connection of a key that has several. */
  readonly registered: number;
}

/**
 * Lists what does not fit, in derper's words; nothing if all does.
 *
 * derper compares the gauge with the number of keys, and so complains of every key that is connected twice. Here
 * connections are compared with connections (repair Q12).
 */
export function findInconsistencies({ connections, registered }: ConsistencyFacts): string[] {
  return connections === registered
    ? []
    : [`expvar connections = ${connections} != clients map says of ${registered}`];
}
