# Stage 1 installs the packages, each checked against its hash in requirements.lock, and the service beside them.
FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/leads
COPY requirements.lock /tmp/requirements.lock
RUN /opt/leads/bin/pip install --quiet --require-hashes --only-binary=:all: --requirement /tmp/requirements.lock \
    && /opt/leads/bin/pip uninstall --quiet --yes pip
COPY service /tmp/service
# The root file system is read-only later, so everything is compiled now.
RUN cp -r /tmp/service "$(/opt/leads/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    && printf '#!/opt/leads/bin/python\nfrom service.__main__ import main\n\nmain()\n' > /opt/leads/bin/leads \
    && chmod 755 /opt/leads/bin/leads \
    && /opt/leads/bin/python -m compileall -q /opt/leads/lib

# Stage 2 is what runs: no compiler, no pip, no embedded server; a user without a name, a home or a shell.
FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
# The base image's pip goes too. A new volume takes over the owner of the folder that it is mounted on.
RUN rm -rf /usr/local/bin/pip* /usr/bin/pip* \
        $(python3 -c 'import ensurepip, pip; print(*ensurepip.__path__, *(each + "*" for each in pip.__path__))') \
    && install -d -m 700 -o 10001 -g 10001 /var/lib/leads/spool /var/lib/leads/demo
ENV PATH=/opt/leads/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LEADS_CONFIG=/etc/leads/leads.toml
COPY --from=build /opt/leads /opt/leads
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000 8001 8010 9100
HEALTHCHECK --interval=10s --timeout=6s --start-period=15s --retries=3 \
    CMD ["leads", "healthcheck", "http://127.0.0.1:8000/readyz"]
ENTRYPOINT ["leads"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
