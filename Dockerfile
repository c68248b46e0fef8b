FROM python:3.13-slim AS build
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
# Copied first, so that a change of the code alone does not install them again.
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY . .
# The settings need a key. This one is used for this command only.
RUN SECRET_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(64))') \
    python manage.py collectstatic --no-input --verbosity 0

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin countonme && \
    install --directory --owner=countonme /run/countonme
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
# nginx calls over the socket, the health check over the port. The check names a host from
# ALLOWED_HOSTS, because another would be answered 400.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "\
import os, urllib.request as u; \
host = os.environ['ALLOWED_HOSTS'].split(',')[0].lstrip('.'); \
u.urlopen(u.Request('http://127.0.0.1:8000/health/ready', headers={'Host': host}), timeout=4)"]
# gunicorn reads gunicorn.conf.py from the working directory.
CMD ["gunicorn", "--bind", "unix:/run/countonme/gunicorn.sock", "--bind", "127.0.0.1:8000", \
     "countonme.wsgi"]
