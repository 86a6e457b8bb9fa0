import { useEffect, useState } from 'react';
import { logout, whoAmI } from './api/sessionApi';
import LoginPage from './pages/LoginPage';
import ResultPage from './pages/ResultPage';
import UploadPage from './pages/UploadPage';

/** Which assessment the address names, if any: /assessments/<id> */
const assessmentIn = (path) => path.match(/^\/assessments\/([\w-]+)$/)?.[1] ?? null;

export default function App() {
  const [user, setUser] = useState(undefined); // undefined: not known yet; null: nobody
  const [path, setPath] = useState(window.location.pathname);

  useEffect(() => {
    whoAmI().then(setUser, () => setUser(null));
    const onMove = () => setPath(window.location.pathname);
    window.addEventListener('popstate', onMove);
    return () => window.removeEventListener('popstate', onMove);
  }, []);

  const goTo = (next) => {
    window.history.pushState(null, '', next);
    setPath(next);
  };

  if (user === undefined) return null;
  if (user === null) return <LoginPage onLogin={setUser} />;
  const assessmentId = assessmentIn(path);
  return (
    <>
      <header>
        <p>
          Signed in as <strong>{user.name}</strong>
        </p>
        <button type="button" onClick={() => logout().then(() => setUser(null))}>
          Sign out
        </button>
      </header>
      <main>
        {assessmentId ? (
          <ResultPage assessmentId={assessmentId} onBack={() => goTo('/')} />
        ) : (
          <UploadPage onUploaded={(id) => goTo(`/assessments/${id}`)} />
        )}
      </main>
    </>
  );
}
