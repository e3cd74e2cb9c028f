/** Recognises the request that turns an HTTP connection into DERP, and writes the answer. Pure. */
import type { NodeKey } from "../crypto/keys.ts";
import { protocolVersion } from "../protocol/frame.ts";

/** Headers by lower-case name, as Node gives them. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** The WebSocket subprotocol of DERP. */
export const subprotocol = "derp";

/** What the client asked for. */
export interface UpgradeRequest {
  /** How DERP's bytes travel: as they are, or in WebSocket messages. */
  readonly carrier: "plain" | "websocket";
  /** The client already knows the relay's key and skips the HTTP answer. */
  readonly fastStart: boolean;
  /** The client would rather be on another node of the region. */
  readonly notIdeal: boolean;
}

/**
 * Tells whether a request is a DERP upgrade: path exactly `/derp`, `Upgrade` equal to `derp` or to `websocket` in any
 * case. Without the subprotocol a WebSocket is plain DERP by another name, which ancient clients sent. Method and HTTP
 * version do not matter, as in derper. In a WebSocket there is no fast start.
 */
export function parseUpgrade(target: string, headers: RequestHeaders): UpgradeRequest | undefined {
  if (target.split("?", 1)[0] !== "/derp") return undefined;
  const upgrade = single(headers["upgrade"]).toLowerCase();
  if (upgrade !== "derp" && upgrade !== "websocket") return undefined;
  const offered = single(headers["sec-websocket-protocol"]);
  const carrier = upgrade === "websocket" && offered.includes(subprotocol) ? "websocket" : "plain";
  return {
    carrier,
    fastStart: carrier === "plain" && single(headers["derp-fast-start"]) === "1",
    notIdeal: single(headers["ideal-node"]) !== "",
  };
}

/** The answer to an upgrade: exactly these lines, in this order. At fast start there is none. */
export function renderUpgradeAnswer({ fastStart }: UpgradeRequest, relayKey: NodeKey): Buffer {
  if (fastStart) return Buffer.alloc(0);
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: DERP",
    "Connection: Upgrade",
    `Derp-Version: ${protocolVersion}`,
    `Derp-Public-Key: ${relayKey.toString("hex")}`,
    "\r\n",
  ];
  return Buffer.from(lines.join("\r\n"), "latin1");
}

function single(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value) ?? "";
}
