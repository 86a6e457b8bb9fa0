/** Prints how many bytes the built file has on its way to a browser: minified, compressed. */

import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { minify } from 'vite'

const file = new URL('../src/wherry/static/chunkedUploadApi.js', import.meta.url)
const { code } = await minify('chunkedUploadApi.js', readFileSync(file, 'utf8'), { module: true })
console.log(gzipSync(code, { level: 9 }).length)
