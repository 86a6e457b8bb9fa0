import { defineConfig } from 'vite'

// Addresses are relative, so that the page works below any path. Nothing is inlined:
// the page's content security policy allows only files of its own.
export default defineConfig({
  base: './',
  build: {
    outDir: '../src/wherry/static/page',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: 'es2022',
    license: { fileName: 'LICENSES.md' },
    rolldownOptions: { input: 'page.html' },
  },
})
