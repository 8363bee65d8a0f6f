// What servers answer in place of a range, and what is made of it.
import { blockBytes, type FileReply, type FileRequest, link } from "../../bench/ota-world.js";

/** Of the image that is asked for. */
export const size = 40 * blockBytes + 77;

type Answer = (reply: FileReply, request: FileRequest) => void;

/** Each is the end of the link, at once. */
export const wrong: Readonly<Record<string, readonly [Answer, string]>> = {
  "a page": [
    r => r.answer(200, { "Content-Type": "text/html" }, new Uint8Array(500)),
    "text/html of 500 bytes, the image has 163917",
  ],
  "a page as long as the image": [
    r => r.answer(200, { "Content-Type": "Text/HTML; charset=utf-8" }, new Uint8Array(size)),
    "Text/HTML; charset=utf-8 of 163917 bytes, the image has 163917",
  ],
  "a longer file": [
    r => r.answer(200, {}, new Uint8Array(size + 1)),
    "of no type of 163918 bytes, the image has 163917",
  ],
  "a file of unknown length": [
    r => r.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"),
    "of no type of unknown length, the image has 163917",
  ],
  "a range in chunks": [
    (r, { first, last }) =>
      r.write(
        `HTTP/1.1 206 OK\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes ${first}-${last}/${size}\r\n\r\n`,
      ),
    "a range with a coding",
  ],
  "a compressed range": [r => r.range({ "Content-Encoding": "gzip" }), "a range with a coding"],
  "a range without its length": [
    (r, { first, last }) =>
      r.write(`HTTP/1.1 206 OK\r\nContent-Range: bytes ${first}-${last}/${size}\r\n\r\n`),
    "a range with undefined bytes of 65536",
  ],
  "a range of another length": [
    r => r.range({ "Content-Length": "65535" }),
    "a range with 65535 bytes of 65536",
  ],
  "another range": [
    r => r.range({ "Content-Range": `bytes 4096-69631/${size}` }),
    "4096 to 69631 of 163917 in place of bytes 0 to 65535 of 163917",
  ],
  "a shorter range": [
    r => r.range({ "Content-Range": `bytes 0-65534/${size}`, "Content-Length": "65535" }),
    "0 to 65534 of 163917 in place of bytes 0 to 65535 of 163917",
  ],
  "a range of a longer file": [
    r => r.range({ "Content-Range": `bytes 0-65535/${size + 1}` }),
    "0 to 65535 of 163918 in place of bytes 0 to 65535 of 163917",
  ],
  "a range of a file of unknown size": [
    r => r.range({ "Content-Range": "bytes 0-65535/*" }),
    "no range in place of bytes 0 to 65535 of 163917",
  ],
  "several ranges": [
    r => r.answer(206, { "Content-Type": "multipart/byteranges; boundary=x" }, new Uint8Array(9)),
    "no range in place of bytes 0 to 65535 of 163917",
  ],
  "no file": [
    r => r.answer(404, { "Content-Type": "text/html" }, new Uint8Array(9)),
    "status 404, text/html",
  ],
  "no such range": [
    r => r.answer(416, { "Content-Range": `bytes */${size}` }),
    "status 416, of no type",
  ],
  "a bad request": [r => r.answer(400, {}), "status 400, of no type"],
  "a redirect to nowhere": [r => r.answer(302, {}), "a redirect to nowhere"],
  "a redirect without TLS": [
    r => r.answer(302, { Location: "http://files.test/fw.bin" }),
    "redirected: https: a link that is not https",
  ],
  "a redirect to another protocol's server": [
    r => r.answer(302, { Location: "//evil.test/fw.bin" }),
    "redirected: https: a link that is not https",
  ],
  "a redirect with credentials": [
    r => r.answer(302, { Location: "https://user:pass@files.test/" }),
    "redirected: https: a link with credentials, or to no host by name",
  ],
  "a redirect that is too long": [
    r => r.answer(302, { Location: `/${"x".repeat(2500)}` }),
    "redirected: https: a link of 2501 characters, at most 2048",
  ],
  "redirects for ever": [
    (r, { number }) => r.answer(307, { Location: `/${number}` }),
    "more than 3 redirects",
  ],
  "redirects in a circle": [
    r => r.answer(301, { Location: (link as { url: string }).url }),
    "more than 3 redirects",
  ],
  "not modified": [r => r.write("HTTP/1.1 304 Not Modified\r\n\r\n"), "status 304, of no type"],
};

/** Each may pass, and is tried again eight times. */
export const passing: Readonly<Record<string, readonly [Answer, string]>> = {
  "503": [r => r.answer(503, {}), "status 503"],
  "500": [r => r.answer(500, {}), "status 500"],
  "429": [r => r.answer(429, { "Retry-After": "1" }), "status 429"],
  "a server that says nothing": [() => undefined, "no answer in 15000 ms"],
  "a server that closes": [r => r.close(), "link cut"],
  "another protocol": [r => r.write("SSH-2.0-OpenSSH\r\n"), "no HTTP/1.1: SSH-2.0-OpenSSH"],
  "a version nobody speaks": [r => r.write("HTTP/2 206 OK\r\n\r\n"), "no HTTP/1.1: HTTP/2 206 OK"],
  "no head at all": [r => r.write(new Uint8Array(100)), "a head with control characters"],
  "a head without end": [
    r => r.write(`HTTP/1.1 206 OK\r\nA: ${"x".repeat(9000)}`),
    "a head of more than 4096 bytes",
  ],
  "lines without end": [r => r.write("HTTP/1.1 206 OK\n\n"), "a line of a head without its end"],
  "a folded line": [
    r => r.write("HTTP/1.1 206 OK\r\nA: b\r\n c\r\n\r\n"),
    "a head with the line  c",
  ],
  "a line without a name": [
    r => r.write("HTTP/1.1 206 OK\r\n: b\r\n\r\n"),
    "a head with the line : b",
  ],
  "two lengths": [
    r => r.write("HTTP/1.1 206 OK\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n"),
    "a head with content-length twice",
  ],
  "a length that is none": [r => r.range({ "Content-Length": "-1" }), "Content-Length -1"],
  "a length of two": [r => r.range({ "Content-Length": "5, 5" }), "Content-Length 5, 5"],
  "a huge length": [
    r => r.range({ "Content-Length": "9".repeat(300) }),
    `Content-Length ${"9".repeat(80)}…`,
  ],
  "interim responses for ever": [
    r => r.write("HTTP/1.1 100 Continue\r\n\r\n".repeat(400)),
    "a head of more than 4096 bytes",
  ],
};
