/** Clients that want in. */
import { randomBytes } from "node:crypto";
import { type NodeKey, nodeKey } from "../../crypto/keys.ts";
import type { Applicant } from "../mode.ts";

export function someKey(): NodeKey {
  return nodeKey(randomBytes(32));
}

export function applicant(key = someKey(), source = "192.0.2.1"): Applicant {
  return { key, source };
}
