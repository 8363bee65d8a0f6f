// What keeps a board from being built for, in words: what is wrong, and what to do about it.

export interface Problem {
  readonly what: string;
  readonly mend: string;
}

export class Problems extends Error {
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(({ what, mend }) => `- ${what}\n  ${mend}`).join("\n"));
  }
}

/** @throws Problems where there are any, all of them at once: who mends one wants to know of the next */
export function refuse(problems: readonly (Problem | undefined)[]): void {
  const found = problems.filter(problem => problem !== undefined);
  if (found.length > 0) throw new Problems(found);
}
