/** What kind of program a line of the system's log comes from. */

/** Numbers of the facilities. Source: RFC 3164, section 4.1.1. */
const FACILITIES: Readonly<Record<string, number>> = {
  KERN: 0,
  USER: 1,
  MAIL: 2,
  DAEMON: 3,
  AUTH: 4,
  SYSLOG: 5,
  LPR: 6,
  NEWS: 7,
  UUCP: 8,
  CRON: 9,
  AUTHPRIV: 10,
  FTP: 11,
  LOCAL0: 16,
  LOCAL1: 17,
  LOCAL2: 18,
  LOCAL3: 19,
  LOCAL4: 20,
  LOCAL5: 21,
  LOCAL6: 22,
  LOCAL7: 23,
};

/** @param name in any case; `undefined` when there is no such facility */
export function facilityNumber(name: string): number | undefined {
  const key = name.toUpperCase();
  return Object.hasOwn(FACILITIES, key) ? FACILITIES[key] : undefined;
}

export function isFacility(name: string): boolean {
  return facilityNumber(name) !== undefined;
}
