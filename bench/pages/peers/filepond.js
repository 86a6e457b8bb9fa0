import * as FilePond from 'filepond'
import 'filepond/dist/filepond.min.css'

window.pond = FilePond.create(document.querySelector('#place'), {
  allowMultiple: true,
  chunkUploads: true,
  name: 'file',
  server: '/api/chunked-upload/filepond',
})
