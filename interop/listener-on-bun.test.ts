/** The listener's own tests under Bun: what an authority asks of it, and how certificates are chosen and exchanged. */
import { testOnBun } from "./own-tests-on-bun.ts";

testOnBun(["net/client-hello", "net/tls-front", "net/main-listener"]);
