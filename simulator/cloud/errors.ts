// What the local cloud tells the person who started it. Devices never see these.

export type CloudErrorCode =
  | "cloud/damaged-state"
  | "cloud/unusable-directory"
  | "cloud/write-failed"
  | "cloud/port-in-use"
  | "cloud/cannot-listen"
  | "cloud/invalid-policy"
  | "cloud/invalid-template"
  | "cloud/invalid-authority"
  | "cloud/invalid-status"
  | "cloud/not-found"
  | "cloud/in-use"
  | "cloud/shadow-rejected"
  | "cloud/invalid-request"
  | "cloud/invalid-object"
  | "cloud/too-large"
  | "cloud/full"
  | "cloud/invalid-stream"
  | "cloud/invalid-update"
  | "cloud/invalid-signing"
  | "cloud/exists"
  | "cloud/closed";

/** One sentence a user can act on; `cause` holds the platform's own error. */
export class CloudError extends Error {
  override readonly name = "CloudError";
  readonly code: CloudErrorCode;

  constructor(code: CloudErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The system's error code ("ENOENT"), or undefined when `error` is not a system error. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
