/** Builds src/core into the one file that applications take: src/wherry/static/chunkedUploadApi.js. */

import { readFileSync } from 'node:fs'
import { defineConfig, type Plugin } from 'vite'

const python = readFileSync(new URL('../src/wherry/__init__.py', import.meta.url), 'utf8')
export const version = /__version__ = "(.+)"/.exec(python)?.[1]
if (!version) throw new Error('src/wherry/__init__.py says no version')

const banner = `/*
 * Wherry's browser client ${version}. MIT licence.
 *
 * Brings big files through ingresses that are too narrow for them. One file without
 * dependencies: put it among your own, for example as src/api/chunkedUploadApi.js.
 *
 *   import { uploadVideoChunked } from '../api/chunkedUploadApi'
 *   const { assessment_id } = await uploadVideoChunked(file, (percent) => setProgress(percent))
 *
 * The server is expected at /api/chunked-upload. What differs for all uploads is set once,
 * where the application starts:
 *
 *   import { defaults } from './api/chunkedUploadApi'
 *   defaults.endpoint = 'https://api.example.com/api'  // the address before /chunked-upload
 *   defaults.headers = async () => ({ Authorization: \`Bearer \${await token()}\` })
 *   defaults.credentials = 'include'                   // cookies, also to another origin
 *
 * It is made from TypeScript; change it there (web/ in the repository), not here.
 */`

/** The bundler takes the blank before the star away. */
export const stars: Plugin = {
  name: 'stars',
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type === 'chunk') file.code = file.code.replace(/^(\t*)\*(?=[ /\n])/gm, '$1 *')
    }
  },
}

export default defineConfig({
  plugins: [stars],
  publicDir: false,
  build: {
    target: 'es2022',
    outDir: '../src/wherry/static',
    emptyOutDir: false,
    minify: false,
    sourcemap: false,
    lib: { entry: 'src/core/index.ts', formats: ['es'], fileName: () => 'chunkedUploadApi.js' },
    rollupOptions: { output: { banner } },
  },
})
