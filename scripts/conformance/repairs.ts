/** The differences from derper that are wanted: where derper errs, and what a relay is to do instead. */

export const repairs = {
  Q1: ["over STUN a dual-stack socket gives IPv4 clients family 02", "family 01"],
  Q2: [
    "the first connection over the accept limit ends the process",
    "it is closed and counted, and the relay goes on",
  ],
  Q3: ["tells a client once per peer that the peer has gone", "tells it each time"],
  Q4: ["any unknown path is the home page", "the same"],
  Q5: ["offers h2, with which DERP does not work", "offers http/1.1 alone"],
  Q6: ["the meta certificate ends 30 days after the start", "it is made anew each day"],
  Q7: ["never sends Health and Restarting", "sends Restarting when it stops, and Health if wished"],
  Q8: ["never counts `derp_unknown_frames`", "counts them"],
  Q9: ["new certificate files need a restart", "they are read without one"],
  Q10: ["SIGHUP ends it, unless there is a `-rate-config`", "SIGHUP never ends the relay"],
  Q11: [
    "a client is not read while the link to its destination's relay is being renewed",
    "no client waits for a link",
  ],
  Q12: ["`/debug/check` compares connections with keys", "connections with connections"],
  Q13: ["a WebSocket's Ideal-Node is ignored", "it may count"],
  Q14: ["any method upgrades", "the same"],
  Q15: ["asks the admission URL without a Content-Type", "says that it sends JSON"],
  Q16: ["the log calls every certificate for an address self-signed", "says what it is"],
  Q17: ["without `-c` it starts as root only", "the key lies in `$STATE_DIRECTORY`"],
  Q18: [
    "a client's queue holds 32 packets whatever their size and age",
    "is bounded by bytes and age, and shared fairly among sources",
  ],
  limits: ["other limits of time and size", "its own, which the statement names"],
} as const satisfies Readonly<Record<string, readonly [derper: string, instead: string]>>;

export type Repair = keyof typeof repairs;

/** How a test's result tells that derper met the repair's side of the statement. */
export function renderDifference(repair: Repair): string {
  return `differs: ${repair}`;
}

/** @returns undefined for any other note */
export function parseDifference(note: string): string | undefined {
  return /^differs: (\w+)$/.exec(note)?.[1];
}
