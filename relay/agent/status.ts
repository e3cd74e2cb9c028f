/** What the updater tells the relay, which shows it to others. Pure. */
import type { UpdaterStatus as WrittenStatus } from "../status/updater-status.ts";
import type { UpdaterStatus } from "../updater/updater.ts";

/** How the node's release does, and its sealed secrets. */
export interface AgentStatus extends UpdaterStatus {
  /** The highest sequence of theirs that was accepted. */
  readonly secrets: number | undefined;
}

/** @param isTrying true while a new release is being tried */
export function renderStatus(status: AgentStatus, isTrying: boolean, at: Date): string {
  const { running, sequence, secrets, refusals } = status;
  const written: WrittenStatus = {
    format: 1,
    state: isTrying ? "updating" : stateOf(refusals),
    sequence: sequence ?? null,
    secrets: secrets ?? null,
    version: running?.version ?? null,
    digest: running?.sha256 ?? null,
    refusals: refusals.map(({ code, message }) => ({ code, message })),
    at: at.toISOString(),
  };
  return `${JSON.stringify(written)}\n`;
}

function stateOf(refusals: UpdaterStatus["refusals"]): "current" | "refused" | "unreachable" {
  if (refusals.length === 0) return "current";
  return refusals.every(({ code }) => code === "delivery-unreadable") ? "unreachable" : "refused";
}
