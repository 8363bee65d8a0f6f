// The content encoding `aws-chunked` (S3 API reference, "sigv4-streaming"): SDKs sign or checksum uploads piece by piece. Pure.

/** @returns the content, its signatures and trailers left out; undefined when it is not well formed */
export function decodeAwsChunked(bytes: Uint8Array): Uint8Array | undefined {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = body.indexOf("\r\n", at);
    const line = lineEnd < 0 ? "" : body.toString("latin1", at, lineEnd);
    const size = /^([0-9a-fA-F]{1,8})(;.*)?$/.exec(line)?.[1];
    if (size === undefined) return undefined;
    const from = lineEnd + 2;
    const to = from + Number.parseInt(size, 16);
    if (to === from) return Buffer.concat(pieces);
    if (body.toString("latin1", to, to + 2) !== "\r\n") return undefined;
    pieces.push(body.subarray(from, to));
    at = to + 2;
  }
}
