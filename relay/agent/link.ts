/** Links that lead somewhere at every moment. */
import { rename, rm, symlink } from "node:fs/promises";

/** Makes a link lead to a target, in the place of whatever it led to. @throws the system's own error */
export async function pointLink(place: string, target: string): Promise<void> {
  const draft = `${place}.new`;
  await rm(draft, { force: true });
  await symlink(target, draft);
  await rename(draft, place);
}
