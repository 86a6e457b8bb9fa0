import { useState } from 'react';
import { login } from '../api/sessionApi';

export default function LoginPage({ onLogin }) {
  const [error, setError] = useState('');

  const handleSubmit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setError('');
    try {
      onLogin(await login(form.get('name'), form.get('password')));
    } catch (failure) {
      const isWrong = failure.message.includes('401');
      setError(isWrong ? 'The name or the password is wrong.' : failure.message);
    }
  };

  return (
    <main>
      <h1>Sign in</h1>
      <form onSubmit={handleSubmit}>
        <label htmlFor="name">Name</label>
        <input id="name" name="name" autoComplete="username" required />
        <label htmlFor="password">Password</label>
        <input
          id="password"
          name="password"
          type="password"
          autoComplete="current-password"
          required
        />
        <button type="submit">Sign in</button>
      </form>
      <p role="alert">{error}</p>
    </main>
  );
}
