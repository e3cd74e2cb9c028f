/** Counts what comes through TLS, by its version, as derper's metrics `tls_listener_*` and `derper_tls_*` have it. */
import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";

const versions: Readonly<Record<string, string>> = { "TLSv1.2": "1.2", "TLSv1.3": "1.3" };

export class TlsCounters {
  /** TCP connections, without those that a limit has turned away. */
  accepted = 0;
  rejected = 0;
  readonly requests: Record<string, number> = { "1.2": 0, "1.3": 0 };
  readonly active: Record<string, number> = { "1.2": 0, "1.3": 0 };

  /** Counts a request; it is active until `end`, its answer or its DERP connection, closes. */
  begin(socket: Duplex, end: EventEmitter): void {
    const version = versionOf(socket);
    add(this.requests, version, 1);
    add(this.active, version, 1);
    end.on("close", () => add(this.active, version, -1));
  }
}

function versionOf(socket: Duplex): string {
  const protocol = socket instanceof TLSSocket ? socket.getProtocol() : null;
  return versions[protocol ?? ""] ?? "unknown";
}

function add(counts: Record<string, number>, version: string, change: number): void {
  counts[version] = (counts[version] ?? 0) + change;
}
