/** `derpkit:trustedKeys` in the text of a stack file. Pure. */
import { isMap, isScalar, isSeq, parseDocument, type YAMLMap, type YAMLSeq } from "yaml";
import { renderStackText } from "../cli/stack-file.ts";

const key = "derpkit:trustedKeys";

/**
 * Writes the keys, in this order, into a stack file's text. Comments stay, but for those of a key that goes.
 *
 * @param text of a stack file that can be read (cli/stack-file.ts)
 */
export function writeTrustedKeys(text: string, keys: readonly string[]): string {
  const document = parseDocument(text, { merge: true, logLevel: "error" });
  const config = document.get("config");
  if (!isMap(config)) {
    document.set("config", document.createNode({ [key]: keys }));
  } else {
    // As in Pulumi, a key without a namespace is the project's own.
    const name = [key, "trustedKeys"].find((each) => config.has(each)) ?? key;
    writeList(config, name, keys);
  }
  return renderStackText(document, text);
}

function writeList(config: YAMLMap, name: string, keys: readonly string[]): void {
  const list = config.get(name);
  if (!isSeq(list)) {
    config.set(name, keys);
    return;
  }
  list.items = list.items.filter((item) => keys.includes(valueOf(item)));
  for (const added of keys.filter((each) => !valuesOf(list).includes(each))) list.add(added);
  list.items.sort((one, other) => keys.indexOf(valueOf(one)) - keys.indexOf(valueOf(other)));
}

function valuesOf(list: YAMLSeq): string[] {
  return list.items.map(valueOf);
}

function valueOf(item: unknown): string {
  return String(isScalar(item) ? item.value : item);
}
