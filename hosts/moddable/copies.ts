// Two copies of the agent in one firmware: of modules with one name mcconfig takes the first it meets, without a word.

/**
 * @param versions an object, its keys one of each copy's manifest
 * @param tell     an engine without a debugger stops without saying why
 * @throws when the copies differ
 */
export function checkCopies(versions: unknown, tell: (text: string) => void): void {
  const found = Object.keys(versions ?? {});
  if (found.length === 1) return;
  const what = found.length === 0 ? "no version" : `versions ${found.join(" and ")}`;
  const reason = `skerry: ${what} in one firmware: the manifests of one copy are to be included, and no other's`;
  tell(`${reason}\n`);
  throw new Error(reason);
}
