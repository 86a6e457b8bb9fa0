#!/usr/bin/env bash
# FilePond reports success for a file whose middle it has never sent.
#
# Version: filepond 4.32.12 (npm), in jsdom 26.1.0. A chunked upload whose PATCH was cut off is continued with HEAD, whose
# answer says how much the server has (Upload-Offset). FilePond takes every chunk that begins before that offset for
# complete: what was lacking of the one that was cut off is skipped, and the file counts as processed. A server has to round
# the offset down to where a chunk begins. And a file whose size is a multiple of the chunk size ends with a PATCH that has
# no bytes, at an offset that is the size: a server that has completed the upload by then must not refuse it.
# Seen: failed,done; PATCH 0, PATCH 1000 (cut after 500 bytes), HEAD: 1500, PATCH 2000, PATCH 3000; never sent: 500 bytes
set -euo pipefail
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
npm install --silent --prefix "$work" filepond@4.32.12 jsdom@26.1.0
cat > "$work/run.mjs" <<'JAVASCRIPT'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { JSDOM } from 'jsdom'

const SIZE = 3000
const kept = new Uint8Array(SIZE)
let safe = 0
let isCut = false
const seen = []
const server = createServer((ask, answer) => {
  const body = []
  ask.on('data', (data) => body.push(data))
  ask.on('end', () => {
    const headers = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': '*', 'Access-Control-Allow-Methods': '*', 'Access-Control-Expose-Headers': '*' }
    const end = (status, text = '') => { answer.writeHead(status, { ...headers, 'Content-Type': 'text/plain', 'Upload-Offset': safe }); answer.end(text) }
    if (ask.method === 'POST') return end(200, 'an-id')
    if (ask.method === 'OPTIONS') return end(204)
    if (ask.method === 'HEAD') { seen.push(`HEAD: ${safe}`); return end(200) }
    const at = Number(ask.headers['upload-offset'])
    let data = Buffer.concat(body)
    const cutting = at === 1000 && !isCut
    if (cutting) { isCut = true; data = data.subarray(0, 500) }
    seen.push(`PATCH ${at}${cutting ? ' (cut after 500 bytes)' : ''}`)
    kept.set(data, at)
    if (at === safe) safe += data.length
    end(cutting ? 500 : 204)
  })
})
await new Promise((done) => server.listen(0, '127.0.0.1', done))
const url = `http://127.0.0.1:${server.address().port}`
const { window } = new JSDOM('<input type="file">', { url, runScripts: 'outside-only', pretendToBeVisual: true })
// What FilePond looks for in a browser, and jsdom has not.
window.URL.createObjectURL = () => 'blob:'
window.URL.revokeObjectURL = () => {}
window.CSS = { supports: () => true }
window.matchMedia = () => ({ matches: false })
window.eval(readFileSync(new URL('node_modules/filepond/dist/filepond.js', import.meta.url), 'utf8'))
window.server = url
window.eval(`
  window.ended = []
  window.pond = FilePond.create(document.querySelector('input'), {
    server: { url: server, process: '/', patch: '/?patch=' },
    chunkUploads: true, chunkForce: true, chunkSize: 1000, chunkRetryDelays: [],
  })
  pond.on('processfile', (error) => ended.push(error ? 'failed' : 'done'))
  pond.addFile(new File([new Uint8Array(${SIZE}).fill(1)], 'film.mp4'))
`)
const until = async (count) => { for (let n = 0; n < 200 && window.ended.length < count; n++) await new Promise((go) => setTimeout(go, 50)) }
await until(1)
window.pond.processFile().catch(() => {})
await until(2)
const lost = kept.filter((byte) => byte === 0).length
console.log(`${window.ended}; ${seen.join(', ')}; never sent: ${lost} bytes`)
process.exit()
JAVASCRIPT
seen=$(node "$work/run.mjs")
echo "$seen"
[ "$seen" = "failed,done; PATCH 0, PATCH 1000 (cut after 500 bytes), HEAD: 1500, PATCH 2000, PATCH 3000; never sent: 500 bytes" ]
