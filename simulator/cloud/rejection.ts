// What a provisioning request is refused with; it goes to the device as it is.

import { messageOf } from "./errors.js";
import { CsrError } from "./signing-request.js";
import { TemplateError } from "./template.js";

/** Only ACCESS_DENIED is named in the guide ("fleet-provision-api"); other codes are assumed. */
export class Rejection extends Error {
  override readonly name = "Rejection";
  readonly statusCode: number;
  readonly errorCode: string;

  constructor(statusCode: number, errorCode: string, message: string) {
    super(message);
    this.statusCode = statusCode;
    this.errorCode = errorCode;
  }
}

export const invalid = (message: string): Rejection =>
  new Rejection(400, "InvalidParameters", message);
export const denied = (message: string): Rejection => new Rejection(403, "ACCESS_DENIED", message);
export const notFound = (message: string): Rejection =>
  new Rejection(404, "ResourceNotFound", message);

export function rejectionOf(error: unknown): Rejection {
  if (error instanceof Rejection) return error;
  if (error instanceof CsrError || error instanceof TemplateError) return invalid(error.message);
  return new Rejection(500, "InternalError", messageOf(error));
}
