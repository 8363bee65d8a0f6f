// Times of certificates (RFC 5280 4.1.2.5) as epoch milliseconds.
import { tag } from "./der.js";
import type { DerReader } from "./der-reader.js";

const dayMs = 86_400_000;

/**
 * UTCTime until 2049 and GeneralizedTime from 2050 on, with seconds, in Zulu, without fractions.
 *
 * @throws AgentError "trust/der"
 */
export function parseTime(reader: DerReader): number {
  const element = reader.next();
  const isUtc = element.tag === tag.utcTime && element.content.length === 13;
  const isGeneralized = element.tag === tag.generalizedTime && element.content.length === 15;
  const digits = Array.from(element.content, octet => octet - 0x30);
  const isZulu = digits.pop() === 0x5a - 0x30;
  if (!(isUtc || isGeneralized) || !isZulu || digits.some(digit => digit < 0 || digit > 9)) {
    throw reader.error("time");
  }
  const two = (at: number): number => digits[at]! * 10 + digits[at + 1]!;
  const at = isUtc ? 2 : 4;
  const year = isUtc ? two(0) + (two(0) < 50 ? 2000 : 1900) : two(0) * 100 + two(2);
  const [month, day] = [two(at), two(at + 2)];
  const [hour, minute, second] = [two(at + 4), two(at + 6), two(at + 8)];
  const isDate = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
  if (!isDate || hour > 23 || minute > 59 || second > 59) throw reader.error("time that is none");
  if (isGeneralized && year < 2050) throw reader.error("GeneralizedTime before 2050");
  return daysSince1970(year, month, day) * dayMs + ((hour * 60 + minute) * 60 + second) * 1000;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysIn(year: number, month: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function daysSince1970(year: number, month: number, day: number): number {
  const before = year - 1;
  const leaps = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  let days = before * 365 + leaps - 719_162;
  for (let earlier = 1; earlier < month; earlier++) days += daysIn(year, earlier);
  return days + day - 1;
}
