// How old a certificate is, without reading the rest of it.
import { tag } from "./der.js";
import { DerReader } from "./der-reader.js";
import { parseTime } from "./time.js";

/** @returns notBefore, epoch ms. @throws AgentError "trust/der" */
export function validFrom(der: Uint8Array, where: string): number {
  const fields = new DerReader(der, where).enter(tag.sequence).enter(tag.sequence);
  fields.enterOptional(0xa0);
  for (const each of [tag.integer, tag.sequence, tag.sequence]) fields.next(each);
  return parseTime(fields.enter(tag.sequence));
}
