import Uppy from '@uppy/core'
import Dashboard from '@uppy/dashboard'
import Tus from '@uppy/tus'
import '@uppy/core/css/style.min.css'
import '@uppy/dashboard/css/style.min.css'

window.uppy = new Uppy({ autoProceed: true })
  .use(Dashboard, { target: '#place', inline: true })
  .use(Tus, { endpoint: '/files/' })
