/** A region of two relays whose first one ends: unmodified Tailscale clients are at the other within seconds. */
import test from "node:test";
import { whyMissing } from "./conformance/relay-under-test.ts";
import { leaveForNextNode } from "./next-node.ts";
import { createPlace, startRelayProcess } from "./relay-process.ts";
import { whyNoTailnetCheck } from "./tailnet-check.ts";

const flags = { "self-probe": "false" };

for (const kind of ["node", "bun"] as const) {
  test(
    `Tailscale's clients are at a region's next relay (${kind}) within 5 s`,
    { skip: whyNoTailnetCheck || (whyMissing(kind) ?? false), timeout: 120_000 },
    async (t) => {
      const place = () => createPlace(t, "relay.derpkit.internal", undefined);
      const relay = await startRelayProcess(t, { ...(await place()), kind, flags });
      const next = await startRelayProcess(t, { ...(await place()), kind, flags });
      const { files, derpPort, stunPort } = relay;
      const { hostName, pin } = files;
      const first = { name: "901a", region: 901, hostName, certName: pin, derpPort, stunPort };
      await leaveForNextNode(t, { first, next }, () => void relay.kill());
    },
  );
}
