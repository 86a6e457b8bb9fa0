/** Builds the React hook into a file that stands beside chunkedUploadApi.js and imports it. */

import { defineConfig, type Plugin } from 'vite'
import { stars, version } from './vite.core.config.ts'

const banner = `/*
 * Wherry's React hook ${version}. MIT licence.
 *
 * Put it beside chunkedUploadApi.js, which it imports. It needs React 18 or newer.
 *
 *   import { useUpload } from './api/useUpload'
 *   const upload = useUpload()
 *   <input type="file" onChange={(event) => upload.start(event.target.files[0])} />
 *   <progress max={100} value={upload.percent} />
 *
 * It is made from TypeScript; change it there (web/ in the repository), not here.
 */`

/** The client stays a file of its own: an application has one `defaults` and one set of errors. */
const client: Plugin = {
  name: 'client',
  enforce: 'pre',
  resolveId: (name) =>
    name === '../core' ? { id: './chunkedUploadApi.js', external: true } : undefined,
}

export default defineConfig({
  plugins: [client, stars],
  publicDir: false,
  build: {
    target: 'es2022',
    outDir: '../src/wherry/static',
    emptyOutDir: false,
    minify: false,
    sourcemap: false,
    lib: { entry: 'src/react/useUpload.ts', formats: ['es'], fileName: () => 'useUpload.js' },
    rollupOptions: { external: ['react'], output: { banner } },
  },
})
