// Decimals as text: prices are in billionths of a credit, and more digits than a number of this language keeps.

// A decimal whose point stands `places` further to the left.
export function shifted(decimal, places) {
  const [, sign, whole, part = ""] = String(decimal).match(/^(-?)(\d+)(?:\.(\d*))?$/) ?? [null, "", "0", ""];
  const digits = whole.padStart(places + 1, "0");
  const at = digits.length - places;
  return `${sign}${digits.slice(0, at)}.${digits.slice(at)}${part}`;
}

export const credits = (nano) => shifted(nano, 9);

const SMALL = 0.01;
const MANY = 10 ** 9;

// A price of so many units that it is more than hundredths of a credit: [price, units].
export function readable(nano, per) {
  let places = 9;
  let units = per;
  while (Number(nano) && Number(nano) / 10 ** places < SMALL && units < MANY && places > 2) {
    places -= 3;
    units *= 1000;
  }
  return [shifted(nano, places), units];
}
