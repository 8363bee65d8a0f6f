// The pre-provisioning hook (developer guide "pre-provisioning-hook"): an owner's function that has the last word.

import * as v from "valibot";
import type { PendingWork, Timer } from "./environment.js";
import { provisioningLimits } from "./limits.js";
import { denied } from "./rejection.js";

/** What a hook is asked. */
export interface HookRequest {
  readonly claimCertificateId: string;
  readonly certificateId: string;
  readonly certificatePem: string;
  readonly templateArn: string;
  readonly clientId: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const answerSchema = v.object({
  allowProvisioning: v.boolean(),
  /** Replace what the device sent, name by name. */
  parameterOverrides: v.exactOptional(v.record(v.string(), v.string())),
});

export type HookAnswer = Readonly<v.InferOutput<typeof answerSchema>>;
export type Hook = (request: HookRequest) => HookAnswer | Promise<HookAnswer>;

/**
 * A hook that denies, throws, answers nonsense or takes longer than five seconds: ACCESS_DENIED.
 *
 * @returns the parameters that count
 * @throws  Rejection
 */
export async function askHook(
  hook: Hook,
  request: HookRequest,
  timer: Timer,
  pending: PendingWork,
): Promise<Readonly<Record<string, string>>> {
  const asked = new Promise<unknown>(resolve => resolve(hook(request)));
  const answer = await pending.outside<unknown>(resume => inTime(asked, timer, resume));
  const read = v.safeParse(answerSchema, answer);
  if (!read.success) throw denied("The pre-provisioning hook did not answer");
  if (!read.output.allowProvisioning) {
    throw denied("The pre-provisioning hook did not allow this device");
  }
  return { ...request.parameters, ...read.output.parameterOverrides };
}

/** Resumes once, with the answer; undefined when there is none, or it is late. */
function inTime(asked: Promise<unknown>, timer: Timer, resume: (answer: unknown) => void): void {
  const late = timer.set(() => resume(undefined), provisioningLimits.hookMs);
  const answered = (answer: unknown): void => {
    timer.clear(late);
    resume(answer);
  };
  asked.then(answered, () => answered(undefined));
}
