// The data of a page: named columns, each a typed array upon the bytes as they lie
// (w2stree/viewer/packing.py has the picture).

export interface Header {
  version: number;
  title: string;
  min_gap: number;
  success_at: number | null;
  num_errors: number;
  open_at: string | null;
  in_frame: boolean;
}

type Numbers = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

const KINDS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f8: Float64Array };

export class Columns {
  readonly header: Header;
  private readonly told: Record<string, [keyof typeof KINDS, number, number]>;
  private readonly begin: number;

  constructor(private readonly buffer: ArrayBuffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const text = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
    const { columns, ...header } = JSON.parse(text);
    this.header = header;
    this.told = columns;
    this.begin = 4 + length;
    if (header.version !== 1) throw new Error(`data of version ${header.version}`);
  }

  has(name: string): boolean {
    return name in this.told;
  }

  get(name: string): Numbers {
    const told = this.told[name];
    if (told === undefined) throw new Error(`there is no column ${name}`);
    const [kind, begin, length] = told;
    return new KINDS[kind](this.buffer, this.begin + begin, length);
  }

  /** The column, or zeros where there is none. */
  optional(name: string, length: number): Numbers {
    return this.has(name) ? this.get(name) : new Uint8Array(length);
  }
}

export async function unpacked(base64: string): Promise<Columns> {
  const stream = new Blob([bytesOf(base64)])
    .stream()
    .pipeThrough(new DecompressionStream("deflate"));
  return new Columns(await new Response(stream).arrayBuffer());
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const fast = Uint8Array as unknown as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };
  if (fast.fromBase64 !== undefined) return fast.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
