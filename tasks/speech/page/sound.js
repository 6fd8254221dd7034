/** Sound in the browser: decoded, drawn as a spectrum over time, written as WAV. Nothing is asked of another host. */

const WINDOW = 512;
const RANGE_DB = 70;

/**
 * @param {Blob} blob
 * @returns {Promise<?{samples: Float32Array, rate: number, play: () => void, end: () => void}>} the first channel; null:
 *   this browser does not read it
 */
export async function decoded(blob) {
  const context = new AudioContext();
  const end = () => { if (context.state !== 'closed') context.close(); };
  try {
    const buffer = await context.decodeAudioData(await blob.arrayBuffer());
    const play = () => {
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(context.destination);
      context.resume().then(() => source.start());
    };
    return { samples: buffer.getChannelData(0), rate: buffer.sampleRate, play, end };
  } catch {
    end();
    return null;
  }
}

/** Draws power up to 4 kHz over time, the lowest frequencies below. */
export function drawn(canvas, samples, rate) {
  const paper = canvas.getContext('2d');
  const rows = Math.max(1, Math.min(WINDOW / 2, Math.round((4000 / rate) * WINDOW)));
  const columns = [];
  for (let x = 0; x < canvas.width; x++) {
    const start = Math.round((x / canvas.width) * Math.max(0, samples.length - WINDOW));
    columns.push(powers(samples.subarray(start, start + WINDOW), rows));
  }
  const most = columns.reduce((high, column) => Math.max(high, ...column), -200);
  for (const [x, column] of columns.entries()) {
    for (let y = 0; y < canvas.height; y++) {
      const power = column[Math.floor((1 - (y + 1) / canvas.height) * rows)];
      const light = Math.max(0, Math.min(1, (power - most) / RANGE_DB + 1));
      paper.fillStyle = `hsl(${220 - 170 * light} 80% ${8 + 72 * light}%)`;
      paper.fillRect(x, y, 1, 1);
    }
  }
}

/** dB of the lowest `rows` frequencies of one window. */
function powers(piece, rows) {
  const real = new Float32Array(WINDOW);
  const imaginary = new Float32Array(WINDOW);
  piece.forEach((value, i) => { real[i] = value * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW)); });
  transform(real, imaginary);
  return Array.from({ length: rows }, (_, k) => 10 * Math.log10(real[k] ** 2 + imaginary[k] ** 2 + 1e-12));
}

/** The discrete Fourier transform in place (Cooley and Tukey 1965, radix 2). */
function transform(real, imaginary) {
  const count = real.length;
  for (let i = 1, j = 0; i < count; i++) {
    let bit = count >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let size = 2; size <= count; size *= 2) {
    for (let start = 0; start < count; start += size) {
      for (let k = 0; k < size / 2; k++) {
        const angle = (-2 * Math.PI * k) / size;
        const a = start + k;
        const b = a + size / 2;
        const x = real[b] * Math.cos(angle) - imaginary[b] * Math.sin(angle);
        const y = real[b] * Math.sin(angle) + imaginary[b] * Math.cos(angle);
        [real[b], imaginary[b]] = [real[a] - x, imaginary[a] - y];
        [real[a], imaginary[a]] = [real[a] + x, imaginary[a] + y];
      }
    }
  }
}

/** Samples -1 to 1 as a WAV file of 16 bits. @returns {ArrayBuffer} */
export function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const word = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  word(0, 'RIFF');
  view.setUint32(4, 36 + 2 * samples.length, true);
  word(8, 'WAVEfmt ');
  [[16, 16, 4], [20, 1, 2], [22, 1, 2], [24, rate, 4], [28, 2 * rate, 4], [32, 2, 2], [34, 16, 2]]
    .forEach(([at, value, bytes]) => (bytes === 4 ? view.setUint32(at, value, true) : view.setUint16(at, value, true)));
  word(36, 'data');
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, value)) * 32767, true));
  return view.buffer;
}
