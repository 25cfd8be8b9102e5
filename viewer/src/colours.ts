// Colours of 256 levels, as words of four bytes that a canvas takes, and as CSS.
//
// Worth is cividis, made to look alike with and without colour-blindness (Nuñez et al., PLoS ONE
// 2018), as in the report; amounts are one hue, from the page's own to a strong one.

type Colour = readonly [number, number, number];

const CIVIDIS: Colour[] = [
  [0, 34, 78],
  [66, 78, 108],
  [124, 123, 120],
  [187, 175, 113],
  [254, 232, 56],
];
// Upon a dark page its dark end would not be seen.
const DARK_CIVIDIS: Colour[] = [
  [38, 78, 148],
  [94, 108, 146],
  [142, 141, 138],
  [198, 186, 122],
  [254, 232, 56],
];
const BLUES: Colour[] = [
  [232, 238, 245],
  [171, 200, 229],
  [98, 154, 205],
  [31, 102, 173],
  [11, 55, 106],
];
const DARK_BLUES: Colour[] = [
  [50, 62, 80],
  [42, 80, 124],
  [48, 112, 178],
  [112, 172, 232],
  [214, 234, 252],
];
const STOPS = { worth: [CIVIDIS, DARK_CIVIDIS], amount: [BLUES, DARK_BLUES] };
const DIMMED = 0.82; // how much of the page stands in a cell that is not looked for

export interface Palette {
  colours: Colour[];
  words: Uint32Array;
  dimmed: Uint32Array;
  page: number;
}

export function palette(scale: "worth" | "amount", isDark: boolean, page: Colour): Palette {
  const stops = STOPS[scale][isDark ? 1 : 0];
  const colours = Array.from({ length: 256 }, (_, level) => between(stops, level / 255));
  return {
    colours,
    words: Uint32Array.from(colours, word),
    dimmed: Uint32Array.from(colours, (colour) => word(mix(colour, page, DIMMED))),
    page: word(page),
  };
}

/** Black or white, whichever can be read upon it. */
export function inkOn([red, green, blue]: Colour): string {
  return 0.299 * red + 0.587 * green + 0.114 * blue > 120 ? "#10151c" : "#ffffff";
}

export function css([red, green, blue]: Colour): string {
  return `rgb(${red} ${green} ${blue})`;
}

export function parsed(colour: string): Colour {
  const [red, green, blue] = (colour.match(/[\d.]+/g) ?? ["255", "255", "255"]).map(Number);
  return [red, green, blue];
}

/** Of two words, so much of the second. */
export function blend(one: number, other: number, share: number): number {
  let mixed = 0xff000000;
  for (const shift of [0, 8, 16]) {
    const a = (one >>> shift) & 255;
    const b = (other >>> shift) & 255;
    mixed |= Math.round(a + (b - a) * share) << shift;
  }
  return mixed >>> 0;
}

function between(stops: Colour[], share: number): Colour {
  const place = share * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(place));
  return mix(stops[i], stops[i + 1], place - i);
}

function mix(one: Colour, other: Colour, share: number): Colour {
  const part = (i: number): number => Math.round(one[i] + (other[i] - one[i]) * share);
  return [part(0), part(1), part(2)];
}

function word([red, green, blue]: Colour): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** The scale of a measure, as a gradient for a style. */
export function gradient(palette: Palette): string {
  const stops = [0, 64, 128, 192, 255].map((level) => css(palette.colours[level]));
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
