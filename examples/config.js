// The configuration of the 2011 program. It is read as it is; nothing in it is run.
exports.config = {
    port: 8086,

    // pull through a proxy
    use_http_proxy: false,
    http_proxy_host: 'some_proxy',
    http_proxy_port: 8080,
    use_proxy_for_local_addresses: false,

    redirect_404_to: 'https://example.org',

    ssl: false,
    ssl_port: 8089,
    ssl_key: 'my.key',
    ssl_cert: 'my.cert',

    streams: [
        {
            name: 'Test Pull Video Source',
            enabled: true,
            type: 'mmsh_pull',
            source_options: {
                host: '127.0.0.1',
                port: '7070',
                path: '/'
            },
            path: 'pulled_video'
        },
        {
            name: 'Test Push Video Source',
            enabled: true,
            type: 'mmsh_push',
            path: 'pushed_video'
        }
    ]
};
