import { createRoot } from 'preact/compat/client'
import { App } from './App'
import { placeOf, Session } from './session'
import './page.css'

// Another ticket is another guest.
window.addEventListener('hashchange', () => location.reload())

createRoot(document.getElementById('page')!).render(<App session={new Session(placeOf(document))} />)
