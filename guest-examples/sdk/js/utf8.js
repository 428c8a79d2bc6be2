// UTF-8, which QuickJS has no words for. Interfaces count bytes, JavaScript counts UTF-16 units.

// How many units `fromCharCode` is given at once: what its arguments' stack bears.
const CHUNK = 4096;

const fromCharCode = String.fromCharCode;

export function isAscii(bytes) {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] > 0x7f) return false;
  return true;
}

export function decodeAscii(bytes, begin, end) {
  if (end - begin <= CHUNK) return fromCharCode.apply(null, bytes.subarray(begin, end));
  let text = "";
  for (let at = begin; at < end; at += CHUNK) text += fromCharCode.apply(null, bytes.subarray(at, Math.min(at + CHUNK, end)));
  return text;
}

// The bytes are UTF-8: whoever hands them over has seen to it.
export function decodeUtf8(bytes, begin, end) {
  let text = "";
  let units = [];
  for (let at = begin; at < end; ) {
    const first = bytes[at++];
    if (first < 0x80) units.push(first);
    else if (first < 0xe0) units.push(((first & 0x1f) << 6) | (bytes[at++] & 0x3f));
    else if (first < 0xf0) units.push(((first & 0x0f) << 12) | ((bytes[at++] & 0x3f) << 6) | (bytes[at++] & 0x3f));
    else {
      const code = ((first & 7) << 18) | ((bytes[at++] & 0x3f) << 12) | ((bytes[at++] & 0x3f) << 6) | (bytes[at++] & 0x3f);
      units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
    }
    if (units.length >= CHUNK) {
      text += fromCharCode.apply(null, units);
      units = [];
    }
  }
  return text + fromCharCode.apply(null, units);
}

// Bytes that are appended to, with room to grow.
export class ByteBuffer {
  constructor() {
    this.bytes = new Uint8Array(256);
    this.length = 0;
  }

  room(more) {
    if (this.length + more <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.length + more, 2 * this.bytes.length));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  append(bytes) {
    this.room(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  // Half of a surrogate pair becomes the replacement character, as TextEncoder has it.
  appendText(text) {
    this.room(3 * text.length);
    const bytes = this.bytes;
    let at = this.length;
    for (let i = 0; i < text.length; i++) {
      let code = text.charCodeAt(i);
      if (code < 0x80) {
        bytes[at++] = code;
        continue;
      }
      if (code < 0x800) {
        bytes[at++] = 0xc0 | (code >> 6);
        bytes[at++] = 0x80 | (code & 0x3f);
        continue;
      }
      if (code >= 0xd800 && code < 0xe000) {
        const low = code < 0xdc00 ? text.charCodeAt(i + 1) : NaN;
        if (low >= 0xdc00 && low < 0xe000) {
          i++;
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          bytes[at++] = 0xf0 | (code >> 18);
          bytes[at++] = 0x80 | ((code >> 12) & 0x3f);
          bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
          bytes[at++] = 0x80 | (code & 0x3f);
          continue;
        }
        code = 0xfffd;
      }
      bytes[at++] = 0xe0 | (code >> 12);
      bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[at++] = 0x80 | (code & 0x3f);
    }
    this.length = at;
  }
}

export function encodeUtf8(text) {
  const buffer = new ByteBuffer();
  buffer.appendText(text);
  return buffer.bytes.slice(0, buffer.length);
}
