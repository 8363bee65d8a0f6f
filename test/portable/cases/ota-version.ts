import {
  compareVersions,
  parseVersion,
  printAfrVersion,
  readAfrVersion,
  toAfrVersion,
} from "../../../src/ota/version.js";
import { check, equal } from "../harness.js";

/** Each newer than the one before it; what stands in one line is equal. semver.org, 11, and neighbours. */
const ascending = `
0.0.0-0
0.0.0
0.0.1-alpha 0.0.1-alpha+1
0.0.1
0.9.9
0.9.10
0.10.0
1.0.0-0
1.0.0-1
1.0.0-2
1.0.0-10
1.0.0-9007199254740992
1.0.0-9007199254740993
1.0.0-12345678901234567890123456789012345678901234567890
1.0.0--
1.0.0-0a
1.0.0-RC
1.0.0-alpha
1.0.0-alpha.1
1.0.0-alpha.1.0
1.0.0-alpha.beta
1.0.0-beta
1.0.0-beta.2
1.0.0-beta.11
1.0.0-rc.1 1.0.0-rc.1+build.7
1.0.0 1.0.0+0 1.0.0+20260101.001-x
1.4.0-rc.1
1.4.0
9007199254740992.0.0
9007199254740993.0.0
`;
const groups = ascending
  .trim()
  .split("\n")
  .map(line => line.split(" "));

check("ota version: precedence", () => {
  for (const [i, older] of groups.entries()) {
    for (const [j, newer] of groups.entries()) {
      for (const a of older)
        for (const b of newer) {
          const order = compareVersions(a, b);
          equal(Math.sign(order!), Math.sign(i - j), `${a} against ${b}`);
        }
    }
  }
});

const longest = `1.0.0-${"a".repeat(58)}`;

check("ota version: a text is a semantic version, or it has no order", () => {
  const wrong = [
    ..."|1|1.2|1.2.3.4|1.2.|.2.3|1..3|01.2.3|1.02.3|1.2.03|v1.2.3|1.2.3-|1.2.3+|1.2.3-a..b|1.2.3-01".split(
      "|",
    ),
    ..."1.2.3+a..b|1.2.3-a_b|1.2.3+a+b| 1.2.3|1.2.3 |1.2.-3|-1.2.3|1.2.3-é|1.2.x|1,2,3|unknown|1.2.3-+b".split(
      "|",
    ),
    `${longest}a`,
    "1.2.3\n",
    "1.2.3-a\n",
    "1.2.3\0",
    "٠.0.0",
  ];
  for (const text of wrong) {
    equal(parseVersion(text), undefined, JSON.stringify(text));
    equal(compareVersions(text, "1.0.0"), undefined, JSON.stringify(text));
    equal(compareVersions("1.0.0", text), undefined, JSON.stringify(text));
    equal(toAfrVersion(text), undefined, JSON.stringify(text));
  }
  equal(parseVersion(longest)?.preRelease.join(), "a".repeat(58));
  equal(parseVersion("1.2.3-rc.1+b.01-x")?.core.join(), "1,2,3");
  equal(parseVersion("1.2.3-x-y.0.-+-.-")?.preRelease.join(), "x-y,0,-");
});

check("ota version: the 32 bits of FreeRTOS", () => {
  for (const [text, printed] of [
    ["1.4.3", "0x01040003"],
    ["0.0.0", "0x00000000"],
    ["0.9.2-rc.1+b", "0x00090002"],
    ["128.0.1", "0x80000001"],
    ["255.255.65535", "0xffffffff"],
  ] as const) {
    const value = toAfrVersion(text)!;
    equal(printAfrVersion(value), printed);
    equal(readAfrVersion(printed), value);
  }
  equal(toAfrVersion("1.4.3"), 0x01040003);
  equal(readAfrVersion("0xABCDEF01"), 0xabcdef01);
  for (const text of ["256.0.0", "0.256.0", "0.0.65536", "9007199254740993.0.0"])
    equal(toAfrVersion(text), undefined, text);
  for (const text of ["", "01040003", "0x0104000", "0x010400033", "0x0104000g", " 0x01040003"])
    equal(readAfrVersion(text), undefined, text);
});
