/**
 * The client's side of DERP: bytes of the relay go in, bytes for the relay and events come out. It opens no socket,
 * reads no clock and draws no random number. That a relay which is silent for 120 s is dead is for its user to notice.
 */
import { type NodeKey, nodeKey, type PrivateKey, publicKeyOf, sharedSecret } from "../crypto/keys.ts";
import { FrameType, keyLength, magic, maxFrameToClient } from "../protocol/frame.ts";
import { encodeClientInfo, openServerInfo } from "../protocol/handshake.ts";
import type { ClientInfo, ServerInfo } from "../protocol/info.ts";
import { FrameReader, type FrameSink, Verdict } from "../protocol/reader.ts";
import { encodePong } from "../protocol/writer.ts";
import { decodeServerFrame, type ServerFrame } from "./server-frame.ts";
import { encodeUpgradeRequest, HeadReader, parseUpgradeAnswer } from "./upgrade.ts";

export interface SessionOptions {
  /** For the Host header. */
  readonly hostName: string;
  readonly privateKey: PrivateKey;
  readonly info: ClientInfo;
  /** 24 fresh random bytes, to seal ClientInfo with. */
  readonly nonce: Uint8Array;
  /** The relay's key, if it is known already: ClientInfo then goes along with the request, and no 101 comes back. */
  readonly fastStartKey?: NodeKey;
}

/** What the login shows of a relay. */
export interface LoginFacts {
  /** `Derp-Public-Key` of the 101 answer; undefined without that header, and with fast start. */
  readonly headerKey: NodeKey | undefined;
  /** The key in ServerKey. */
  readonly serverKey: NodeKey;
  readonly serverInfo: ServerInfo;
  /** False if another frame came between ServerKey and ServerInfo. Clients forgive that; their health logic suffers. */
  readonly serverInfoFirst: boolean;
}

export type SessionEvent =
  | { readonly type: "loggedIn"; readonly facts: LoginFacts }
  /** The relay broke the protocol; nothing follows. The reason is a clause. */
  | { readonly type: "failed"; readonly reason: string }
  | ServerFrame;

/** How a session acts. Neither method may call back into it. */
export interface SessionEffects {
  write(bytes: Buffer): void;
  event(event: SessionEvent): void;
}

type State =
  | { readonly at: "answer"; readonly head: HeadReader }
  | { readonly at: "serverKey"; readonly headerKey: NodeKey | undefined }
  | ({ readonly at: "serverInfo" } & Omit<LoginFacts, "serverInfo">)
  | { readonly at: "open" }
  | { readonly at: "failed" };

/** What a client accepts as ServerKey: bytes after the key are of the future. */
const serverKeyLength = { min: magic.length + keyLength, max: 1_024 };

const expectations: Readonly<Record<State["at"], { readonly next: string; readonly end: string }>> = {
  answer: {
    next: "the answer to the upgrade to DERP",
    end: "the server closed the connection instead of answering the upgrade to DERP",
  },
  serverKey: { next: "ServerKey", end: "the relay closed the connection instead of sending ServerKey" },
  serverInfo: {
    next: "ServerInfo",
    end: "the relay closed the connection instead of sending ServerInfo, as it does with a client it does not admit",
  },
  open: { next: "a frame", end: "the relay closed the connection" },
  failed: { next: "nothing", end: "the relay closed the connection" },
};

export class ClientSession {
  readonly #options: SessionOptions;
  readonly #effects: SessionEffects;
  readonly #reader = new FrameReader();
  readonly #sink: FrameSink;
  #state: State;

  constructor(options: SessionOptions, effects: SessionEffects) {
    this.#options = options;
    this.#effects = effects;
    this.#state =
      options.fastStartKey === undefined
        ? { at: "answer", head: new HeadReader() }
        : { at: "serverKey", headerKey: undefined };
    this.#sink = {
      header: (type, length) => this.#handleHeader(type, length),
      frame: (type, buffer, start, end) => this.#handleFrame(type, buffer.subarray(start, end)),
    };
  }

  /** What the relay owes us next, for a person. */
  get waitingFor(): string {
    return expectations[this.#state.at].next;
  }

  /** What it means that the stream ends now, as a clause. */
  get meaningOfEnd(): string {
    return expectations[this.#state.at].end;
  }

  /** The relay's key while it owes us ServerInfo: a stream that ends now ends because it does not admit us. */
  get refusedBy(): NodeKey | undefined {
    return this.#state.at === "serverInfo" ? this.#state.serverKey : undefined;
  }

  /** Writes what a client begins with, in one piece. */
  start(): void {
    const { hostName, fastStartKey } = this.#options;
    const request = encodeUpgradeRequest(hostName, fastStartKey !== undefined);
    const info = fastStartKey === undefined ? Buffer.alloc(0) : this.#encodeClientInfo(fastStartKey);
    if (info === undefined) this.#fail("the key in the relay's meta certificate cannot be used");
    else this.#effects.write(Buffer.concat([request, info]));
  }

  /** Takes the next bytes of the relay. `chunk` is not kept. */
  receive(chunk: Buffer): void {
    if (this.#state.at === "failed") return;
    if (this.#state.at !== "answer") {
      this.#reader.push(chunk, this.#sink);
      return;
    }
    const read = this.#state.head.push(chunk);
    if (read === undefined) return;
    if (read === "too-long") this.#fail("the server's answer to the upgrade has no end");
    else this.#handleAnswer(read.head, read.rest);
  }

  #handleAnswer(head: string, rest: Buffer): void {
    const answer = parseUpgradeAnswer(head);
    if (typeof answer === "string") {
      this.#fail(answer);
      return;
    }
    this.#state = { at: "serverKey", headerKey: answer.headerKey };
    this.#reader.push(rest, this.#sink);
  }

  #handleHeader(type: number, length: number): Verdict {
    if (this.#state.at === "serverKey") return this.#judgeServerKey(type, length);
    if (length <= maxFrameToClient) return Verdict.deliver;
    return this.#refuse(`the relay announced a frame of ${length} bytes, more than clients accept`);
  }

  #judgeServerKey(type: number, length: number): Verdict {
    if (type === "H".charCodeAt(0) && this.#options.fastStartKey !== undefined) {
      return this.#refuse("the relay answered with HTTP, although fast start asks for none");
    }
    if (type === FrameType.serverKey && length >= serverKeyLength.min && length <= serverKeyLength.max) {
      return Verdict.deliver;
    }
    return this.#refuse(
      `the relay began with a frame of type ${type} and ${length} bytes, which is no ServerKey`,
    );
  }

  /** @returns false to stop reading */
  #handleFrame(type: number, payload: Buffer): boolean {
    const state = this.#state;
    if (state.at === "serverKey") return this.#handleServerKey(payload, state.headerKey);
    if (state.at === "serverInfo") {
      if (type === FrameType.serverInfo) return this.#handleServerInfo(payload, state);
      this.#state = { ...state, serverInfoFirst: false };
    }
    const frame = decodeServerFrame(type, payload);
    if (frame?.type === "ping") this.#effects.write(encodePong(frame.payload));
    if (frame !== undefined) this.#effects.event(frame);
    return true;
  }

  #handleServerKey(payload: Buffer, headerKey: NodeKey | undefined): boolean {
    const keyStart = magic.length;
    if (!magic.equals(payload.subarray(0, keyStart))) {
      return this.#fail("ServerKey does not begin with DERP's magic");
    }
    const serverKey = nodeKey(payload.subarray(keyStart, keyStart + keyLength));
    this.#state = { at: "serverInfo", headerKey, serverKey, serverInfoFirst: true };
    if (this.#options.fastStartKey !== undefined) return true;
    const info = this.#encodeClientInfo(serverKey);
    if (info === undefined) return this.#fail("the key in ServerKey cannot be used");
    this.#effects.write(info);
    return true;
  }

  #handleServerInfo(payload: Buffer, known: Omit<LoginFacts, "serverInfo">): boolean {
    const { fastStartKey = known.serverKey, privateKey } = this.#options;
    const serverInfo = openServerInfo(payload, fastStartKey, privateKey);
    if (serverInfo === undefined) return this.#fail("ServerInfo does not open with the relay's key");
    const { headerKey, serverKey, serverInfoFirst } = known;
    this.#state = { at: "open" };
    this.#effects.event({ type: "loggedIn", facts: { headerKey, serverKey, serverInfo, serverInfoFirst } });
    return true;
  }

  /** @returns undefined for a key of small order, zero among them, to which nothing can be sealed */
  #encodeClientInfo(relayKey: NodeKey): Buffer | undefined {
    const { privateKey, nonce, info } = this.#options;
    if (sharedSecret(privateKey, relayKey) === undefined) return undefined;
    return encodeClientInfo(privateKey, publicKeyOf(privateKey), relayKey, nonce, info);
  }

  #refuse(reason: string): Verdict {
    this.#fail(reason);
    return Verdict.refuse;
  }

  #fail(reason: string): false {
    this.#state = { at: "failed" };
    this.#effects.event({ type: "failed", reason });
    return false;
  }
}
