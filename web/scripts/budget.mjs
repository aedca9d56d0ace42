// The first script stays small: what index.html loads by itself, gzipped, under 300 kB.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const LIMIT = 300_000;
const html = readFileSync('dist/index.html', 'utf8');
const scripts = [...html.matchAll(/(?:src|href)="(\/[^"]+\.js)"/g)].map((m) => m[1]);
const size = scripts.reduce((sum, s) => sum + gzipSync(readFileSync(`dist${s}`)).length, 0);
console.log(`first script: ${Math.round(size / 1000)} kB gzip in ${scripts.length} files, ${LIMIT / 1000} kB allowed`);
if (size > LIMIT || scripts.length === 0) process.exit(1);
