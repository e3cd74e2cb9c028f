/** Roll-out of an unpublished name: which share of the askers gets it, and whether an asker is among them. */
import { decodeIp, encodeIp, mapIp } from "../ip-address.ts";

/**
 * Parses the TXT records of a percentage. Of several that are whole numbers from 0 to 100 the last counts.
 *
 * @param records each record's strings joined
 * @returns a share from 0 to 1; undefined without such a record
 */
export function parseRollout(records: readonly string[]): number | undefined {
  const percentages = records.filter((text) => /^[+-]?\d+$/.test(text)).map(Number);
  const last = percentages.findLast((value) => value >= 0 && value <= 100);
  return last === undefined ? undefined : last / 100;
}

/**
 * Whether who asks from an address is among a share of all. The same address always gets the same answer, so that a
 * client does not see a name come and go, and keeps it as the share grows; loopback, where one tests, gets either.
 *
 * @param share from 0 to 1
 * @param random a number from 0 to below 1
 */
export function isRolledOut(share: number, address: string, random: () => number): boolean {
  if (share === 0) return false;
  if (share === 1) return true;
  const bytes = encodeIp(address);
  if (bytes === undefined) return false;
  return share > (isLoopback(bytes) ? random() : drawFor(mapIp(bytes)));
}

function isLoopback(bytes: Uint8Array): boolean {
  return /^(?:127\..*|::1)$/.test(decodeIp(bytes) ?? "");
}

/** A number from 0 to below 1, drawn by PCG-DXSM from 16 bytes as its seed: Go's `math/rand/v2` draws the same. */
function drawFor(seed: Buffer): number {
  const start = (seed.readBigUInt64LE(0) << 64n) | seed.readBigUInt64LE(8);
  const state = BigInt.asUintN(128, start * multiplier + increment);
  const low = BigInt.asUintN(64, state) | 1n;
  let high = state >> 64n;
  high ^= high >> 32n;
  high = BigInt.asUintN(64, high * cheapMultiplier);
  high ^= high >> 48n;
  high = BigInt.asUintN(64, high * low);
  return Number(BigInt.asUintN(53, high)) / 2 ** 53;
}

/** The constants of the 128-bit generator (O'Neill, PCG; the multiplier of its output is the "cheap" one). */
const multiplier = (2549297995355413924n << 64n) | 4865540595714422341n;
const increment = (6364136223846793005n << 64n) | 1442695040888963407n;
const cheapMultiplier = 0xda942042e4dd58b5n;
