/** Mistakes that a person could make in the relay, and the statements whose tests have to find them. */

export interface SeededFault {
  /** What is wrong, for a person. */
  readonly what: string;
  readonly file: string;
  /** Occurs in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** The tests of these statements fail. */
  readonly statements: readonly number[];
  /** Where they are, below `interop/conformance/`. */
  readonly tests: string;
}

/** By group of statements. */
export const seededFaults: Readonly<Record<string, readonly SeededFault[]>> = {
  "Keys and framing": [
    {
      what: "of a mesh key only the first half is compared",
      file: "relay/core/session.ts",
      find: "timingSafeEqual(accepted, shown)",
      replace: "timingSafeEqual(accepted.subarray(0, 16), shown.subarray(0, 16))",
      statements: [6],
      tests: "handshake.test.ts",
    },
  ],
  "HTTP and upgrade": [
    {
      what: "any value that begins with 1 asks for fast start",
      file: "relay/net/upgrade.ts",
      find: 'single(headers["derp-fast-start"]) === "1"',
      replace: 'single(headers["derp-fast-start"]).startsWith("1")',
      statements: [15],
      tests: "http.test.ts",
    },
    {
      what: "the longest challenge is not answered",
      file: "relay/net/http-answers.ts",
      find: "/^[A-Za-z0-9.:_-]{1,64}$/",
      replace: "/^[A-Za-z0-9.:_-]{1,63}$/",
      statements: [25],
      tests: "http.test.ts",
    },
  ],
  TLS: [
    {
      what: "who asks for a name below the host's is served",
      file: "relay/certificates/manual.ts",
      find: "isIP(hostname) !== 0 || servername === hostname",
      replace: "isIP(hostname) !== 0 || servername?.endsWith(hostname)",
      statements: [39],
      tests: "tls.test.ts",
    },
  ],
  Handshake: [
    {
      what: "the longest ClientInfo is refused",
      file: "relay/protocol/frame.ts",
      find: "max: 262_144",
      replace: "max: 262_143",
      statements: [46],
      tests: "handshake.test.ts",
    },
    {
      what: "old versions of the protocol are refused",
      file: "relay/protocol/info.ts",
      find: "return fields && { version: 0, canAckPings",
      replace:
        "if ((fields?.version ?? protocolVersion) < protocolVersion) return undefined;\n" +
        "  return fields && { version: 0, canAckPings",
      statements: [47],
      tests: "handshake.test.ts",
    },
  ],
  Relaying: [
    {
      what: "a packet of 61 bytes is taken for disco",
      file: "relay/protocol/frame.ts",
      find: "discoMagic.length + keyLength + nonceLength;",
      replace: "discoMagic.length + keyLength + nonceLength - 1;",
      statements: [55],
      tests: "relaying.test.ts",
    },
    {
      what: "four clients that are not there are told of at once",
      file: "relay/core/session.ts",
      find: "new TokenBucket(1, 3, now)",
      replace: "new TokenBucket(1, 4, now)",
      statements: [54],
      tests: "relaying.test.ts",
    },
    {
      what: "only the first peer that a client hears from is watched",
      file: "relay/core/session.ts",
      find: "if (source !== this.#lastSource) this.#watch(source);",
      replace: "if (this.#lastSource === undefined) this.#watch(source);",
      statements: [56],
      tests: "relaying.test.ts",
    },
    {
      what: "a Ping may have 1024 bytes",
      file: "relay/protocol/frame.ts",
      find: "ping: { min: 8, max: 1_000 }",
      replace: "ping: { min: 8, max: 1_024 }",
      statements: [63],
      tests: "relaying.test.ts",
    },
  ],
  Duplicates: [
    {
      what: "only packets make a connection the active one",
      file: "relay/core/session.ts",
      find: "if (state.peer.size > 1) state.peer.speak(this);",
      replace: "if (state.peer.size > 1 && type === FrameType.sendPacket) state.peer.speak(this);",
      statements: [72],
      tests: "duplicates.test.ts",
    },
    {
      what: "of several connections the one that spoke longest ago takes over",
      file: "relay/core/peer.ts",
      find: "this.#active = this.#history.at(-1);",
      replace: "this.#active = this.#history[0];",
      statements: [75],
      tests: "duplicates.test.ts",
    },
  ],
  Mesh: [
    {
      what: "every connection is announced as a regular one",
      file: "relay/core/session.ts",
      find: "flags || PeerPresentFlag.regular",
      replace: "flags | PeerPresentFlag.regular",
      statements: [79],
      tests: "mesh.test.ts",
    },
    {
      what: "a relay is told of every destination that is not here",
      file: "relay/core/router.ts",
      find: "if (disco) from.peerNotHere(payload.subarray(destination, packet), now);",
      replace: "from.peerNotHere(payload.subarray(destination, packet), now);",
      statements: [86],
      tests: "mesh.test.ts",
    },
  ],
  Admission: [
    {
      what: "the body of a refusal is believed",
      file: "relay/admission/verify-url.ts",
      find: "if (status !== 200) return unknown(",
      replace: "if (status >= 500) return unknown(",
      statements: [96],
      tests: "admission.test.ts",
    },
  ],
  "Rate limits": [
    {
      what: "the headers of frames count",
      file: "relay/core/session.ts",
      find: "this.#bucket.take(Math.min(length, limits.sendPacket.max), this.#now)",
      replace: "this.#bucket.take(Math.min(length, limits.sendPacket.max) + 5, this.#now)",
      statements: [101],
      tests: "admission.test.ts",
    },
    {
      what: "relays of the mesh are limited as well",
      file: "relay/core/session.ts",
      find: 'this.#state.kind === "open" && !this.#state.mesh;',
      replace: 'this.#state.kind === "open";',
      statements: [102],
      tests: "rate-limits.test.ts",
    },
  ],
  STUN: [
    {
      what: "the fingerprint is not compared",
      file: "relay/stun/message.ts",
      find: "encodeFingerprint(covered).equals(last.value)",
      replace: "encodeFingerprint(covered).length === last.value.length",
      statements: [107],
      tests: "stun.test.ts",
    },
  ],
  "Bootstrap DNS": [
    {
      what: "an unpublished name is found under another spelling",
      file: "relay/bootstrap-dns/bootstrap-dns.ts",
      find: "this.#unpublished.get(question)",
      replace: 'this.#unpublished.get(question.replace(/\\.$/, ""))',
      statements: [110],
      tests: "bootstrap-dns.test.ts",
    },
  ],
  "Debug, metrics, operations": [
    {
      what: "the debug pages are shown behind a proxy",
      file: "relay/net/debug-access.ts",
      find: 'if (hasHeader(request, "x-forwarded-for")) return false;',
      replace: "",
      statements: [114],
      tests: "telemetry.test.ts",
    },
    {
      what: "a packet's destination counts among its bytes",
      file: "relay/core/router.ts",
      find: "const length = end - packet;",
      replace: "const length = end - start;",
      statements: [116],
      tests: "telemetry.test.ts",
    },
  ],
};
